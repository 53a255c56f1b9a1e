"""Every table of the paper and of a report, set by LaTeX: it compiles, and no column leaves the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.document import document
from reports.paper.tables import tables
from reports.renderers.latex import PREAMBLE, latex_table

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
MakeRun = Callable[..., Path]


def compiled(body: str, folder: Path, options: str = "") -> str:
    """Compile in an article and return the log."""
    packages = PREAMBLE.removeprefix("% needs ")
    text = (
        f"\\documentclass[{options}]{{article}}\n{packages}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    (folder / "t.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


def test_all_tables_of_the_paper_fit_the_page(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [
        make_run(benchmark=name, protocol="official", judge="j@0", images=4) for name in ("geneval", "dpg")
    ]
    found = [
        latex_table(table, f"tab:{key}")
        for which in range(2, 9)
        for key, table in tables(f"table{which}", runs).items()
    ]
    log = compiled("\\clearpage\n".join(found), tmp_path)
    assert len(found) == 7 + 2
    assert not re.search(r"Overfull \\hbox|Float too large", log)
    assert "Output written on t.pdf" in log


def test_the_tables_of_a_report_fit_the_page(stages: list[Path], tmp_path: Path) -> None:
    (section,) = document(stages, None).sections
    log = compiled("\\clearpage\n".join(latex_table(table) for table in section.tables()), tmp_path)
    assert not re.search(r"Overfull \\hbox", log)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext here")
@pytest.mark.parametrize("options", ["", "twocolumn"])
def test_a_table_of_many_columns_stays_large_enough_to_read(tmp_path: Path, options: str) -> None:
    found = tables("table4", [])["table4"]
    log = compiled(latex_table(found), tmp_path, options)
    assert not re.search(r"Overfull \\hbox|Float too large", log)
    words = subprocess.run(
        ["pdftotext", "-bbox", "t.pdf", "-"], cwd=tmp_path, capture_output=True, check=True
    )
    (box,) = re.findall(r'xMin="([\d.]+)" yMin="[\d.]+" xMax="([\d.]+)".*>HART<', words.stdout.decode())
    assert float(box[1]) - float(box[0]) >= 5.5  # points; set upright in the page's width it would be 4


def test_the_check_sees_a_table_that_is_too_wide(tmp_path: Path) -> None:
    wide = r"\begin{table}\begin{tabular}{l}\rule{2\linewidth}{1pt}\end{tabular}\end{table}"
    assert "Overfull" in compiled(wide, tmp_path)
