"""Names and prompts that were written to break something: every renderer shows them as text."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_page import html_table

from reports.plain_text import LONGEST, line, short, visible
from reports.renderers.csv import csv_table
from reports.renderers.json import json_table
from reports.renderers.latex import PREAMBLE, latex_table
from reports.renderers.markdown import markdown_table
from reports.table import Cell, Column, Footnote, Interval, Row, Table

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)> &lt; \"two\" 'one' </td></table>",
    "latex": r"\input{/etc/passwd} \def\x{} $x^2$ # % & _ ~ {} \\ ^^M -- '' `` \end{tabular}",
    "bracket": "[1em] after the end of a row",
    "star": "*",
    "right to left": "שלום עולם \u202eevil\u202c مرحبا",
    "emoji": "🦊 👩‍🚀 ✅",
    "cjk": "一只红色的狐狸 きつね 여우",
    "long": "word " * 2000,
    "one long word": "w" * 10_000,
    "lines": "one\r\ntwo\n\nthree\u2028four\x00five\rsix\tseven\x1b[31m",
    "markdown": "| a | `b` | **c** [x](javascript:alert(1)) ![y](z) ~~d~~ \\| <b> \\",
    "list": "1. one",
    "rule": "---",
    "formula": '=HYPERLINK("http://x","y")',
    "plus": "+1+2",
    "minus": "-1-2",
    "at": "@SUM(A1)",
    "call": "@everyone see _www.evil.example and http://evil.example/x or a@evil.example",
    "accents": "Ångström naïve Łódź señor weiß œuvre µ β",
    "surrogate": "lone \ud800 half",
    "spaces": "  both ends  ",
    "nothing": "",
}


def table(text: str) -> Table:
    """A table that says a text in every place where a text can be."""
    columns = (
        Column(f"{text}0", numeric=False, note=text, marks=("a",), group=text),
        Column("score", "higher", note=text),
        Column("other", numeric=False),
    )
    value = Cell(value=0.5, intervals=(Interval("seeds", 0.4, 0.6),), note=text, marks=("a",))
    rows = (
        Row((Cell(text), value, Cell(text, note=text)), section=text or "s"),
        Row((Cell("x"), Cell(value=0.7), Cell(text)), run=text),
        Row((Cell("y"), Cell(text), Cell("z")), "apart", text or "s"),
    )
    footnotes = (Footnote("a", text),)
    return Table(text, columns, rows, (text,), footnotes, (text,), scale=(0.0, 1.0), mark=text)


TABLES = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


class Cells(HTMLParser):
    """Text of every cell, and all tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.names: set[str] = set()
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        if tag in ("td", "th"):
            self.cells.append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells[-1] += data


@TABLES
def test_html_has_the_tags_of_a_harmless_table_and_shows_the_text(text: str) -> None:
    found, harmless = Cells(html_table(table(text))), Cells(html_table(table("x")))
    assert set(found.tags) <= set(harmless.tags)
    assert found.names <= harmless.names
    assert short(text) in [cell.strip() for cell in found.cells]


@TABLES
def test_markdown_keeps_its_rows_and_shows_the_text(text: str) -> None:
    """As another program reads it: CommonMark with tables."""
    written = markdown_table(table(text))
    assert not re.search(r"@|://|www\.", written)  # what code hosts make calls and links of
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(written)
    assert [token.type for token in tokens].count("table_open") == 1
    assert [token.type for token in tokens].count("bullet_list_open") == 1
    assert not {token.type for token in tokens} & {
        "ordered_list_open",
        "hr",
        "heading_open",
        "html_block",
        "fence",
    }
    rows = [token.type for token in tokens].count("tr_open")
    assert rows == 1 + 3 + 2
    inlines = [
        "".join(child.content for child in token.children or []).replace("@\u200b", "@")
        for token in tokens
        if token.type == "inline"
    ]
    kinds = {child.type for token in tokens if token.type == "inline" for child in token.children or []}
    assert not kinds & {"link_open", "image", "code_inline", "html_inline"}
    assert short(text) in inlines
    assert any(found.endswith(line(text)) for found in inlines[-3:])


@TABLES
def test_csv_gives_the_whole_text_back_and_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_table(table(text)), newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 4
    whole = text.encode("utf-8", "backslashreplace").decode()
    assert rows[1][0] == (f"'{whole}" if whole[:1] in ("=", "+", "-", "@") else whole)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
    assert not [cell for row in rows for cell in row if re.match(r"-(?![\d.]+$)", cell)]


@TABLES
def test_json_gives_the_whole_text_back(text: str) -> None:
    written = json_table(table(text)).encode()
    read = json.loads(written, parse_constant=pytest.fail)
    assert read["caption"] == text
    assert read["rows"][0]["cells"][0]["text"] == text
    assert read["rows"][0]["cells"][1]["note"] == text


@TABLES
def test_what_people_read_is_short_and_hides_nothing(text: str) -> None:
    made = table(text)
    for written in (markdown_table(made), html_table(made), latex_table(made)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", written)
        written.encode()
    assert len(re.sub(r"\[U\+\w+\]", "?", short(text))) <= LONGEST
    if len(text) > LONGEST:
        assert short(text).endswith("…")
        assert "is cut here" in markdown_table(made)
    assert "\n" not in visible(text)


def test_the_whole_text_of_a_cut_cell_is_in_its_title() -> None:
    text = " ".join(f"word{n}" for n in range(100))
    page = html_table(table(text))
    assert f'title="{text}' in page


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles_with_all_of_it(tmp_path: Path) -> None:
    tables = "\n".join(f"{latex_table(table(text))}\\clearpage" for text in HOSTILE.values())
    assert tables.isascii()
    packages = PREAMBLE.removeprefix("% needs ")
    document = f"\\documentclass{{article}}\n{packages}\n\\begin{{document}}\n{tables}\n\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    if shutil.which("pdftotext"):
        subprocess.run(["pdftotext", "t.pdf"], cwd=tmp_path, check=True)
        shown = (tmp_path / "t.txt").read_text(errors="replace")
        assert all(word in shown for word in ("U+4E00", "U+1F98A", "U+202E", "[1em]", "HYPERLINK"))
        assert "root:" not in shown
