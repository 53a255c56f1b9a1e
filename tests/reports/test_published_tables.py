"""The paper's tables as data: equal to the facts as another read them, and to cells written down here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumina_eval.errors import UserError
from reports.paper.files import write
from reports.paper.precision import combined, published_error
from reports.paper.printed import told
from reports.paper.published import PublishedTable, Settings
from reports.paper.published_files import names, parse, published
from reports.paper.tables import tables
from reports.renderers.json import json_object

SPEC = Path(__file__).parents[3] / "shared" / "spec" / "model.md"
needs_spec = pytest.mark.skipif(not SPEC.is_file(), reason="the written-down facts are not here")
NUMBERS = range(2, 9)


def shown(name: str) -> list[list[str]]:
    """Every printed row of a table, as the machine form shows it."""
    found = json_object(tables(name, [])[name])
    return [[cell["text"] for cell in row["cells"]] for row in found["rows"]]


def section() -> str:
    """Section 6 of the facts: published numbers."""
    return SPEC.read_text(encoding="utf-8").split("## 6. Published numbers")[1].split("\n## 7.")[0]


def plain(text: str) -> str:
    """A name without brackets, stars and blanks at its ends; an em dash for what is left out."""
    return re.sub(r"[\[\]*]", "", text).strip() or "-"


def number(text: str) -> float | None:
    """A printed number, None where there is none."""
    text = plain(text).replace("\u202f", "")
    return None if text in ("-", "—") else float(text)


def parts(text: str, count: int) -> list[float | None]:
    found = [number(part) for part in plain(text).split("/")]
    return found if len(found) == count else [None] * count


def spec_table4() -> Iterator[tuple[str, str, list[float | None]]]:
    for line in section().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] != "model" and "---" not in line:
            name, params, geneval, dpg, compbench = cells
            yield plain(name), plain(params), [*parts(geneval, 4), *parts(dpg, 4), *parts(compbench, 3)]


@needs_spec
def test_table_4_is_equal_to_the_facts_cell_by_cell() -> None:
    wanted = list(spec_table4())
    found = [
        (row[0], row[1].replace("—", "-"), [number(cell) for cell in row[2:]]) for row in shown("table4")
    ]
    assert len(wanted) == 22
    assert found == wanted


@needs_spec
@pytest.mark.parametrize("which", [5, 6, 7])
def test_the_leaderboards_are_equal_to_the_facts_cell_by_cell(which: int) -> None:
    text = re.search(rf"^Table {which} \(.*?$", section(), re.MULTILINE)
    assert text
    rows = re.sub(r"^[^:]*: |\s*\(PDF text only\.\)|\.$", "", text[0])
    wanted = []
    for row in rows.split(";"):
        name, _, values = row.strip().rstrip(".").rpartition(" ")
        wanted.append((name, [number(value) for value in values.split("/")]))
    found = [(plain(row[0]), [number(cell) for cell in row[1:]]) for row in shown(f"table{which}")]
    assert found == wanted


@needs_spec
def test_table_8_is_equal_to_the_facts_cell_by_cell() -> None:
    text = re.search(r"^Table 8 \(.*?$", section(), re.MULTILINE)
    assert text
    wanted = re.findall(r"(?:Res|HQ) @(\d+)K (?:DPG )?([\d.]+)(?: GenEval |/)(\.\d+)", text[0])
    assert [[float(value) for value in row] for row in wanted] == [
        [number(cell) for cell in row[1:]] for row in shown("table8")
    ]
    assert len(wanted) == 5


@needs_spec
def test_table_3_is_equal_to_the_facts_cell_by_cell() -> None:
    text = SPEC.read_text(encoding="utf-8").split("### 4.3")[1].split("###")[0]
    lines = [
        line.strip("| ").split("|")
        for line in text.splitlines()
        if re.match(r"\| \w.*256x|\| \w.*1024x", line)
    ]
    wanted = [[cell.strip().removesuffix("K") for cell in line[1:]] for line in lines]
    assert [[cell.replace("\u202f", "") for cell in row[1:7]] for row in shown("table3")] == wanted
    assert len(wanted) == 3


@needs_spec
def test_figure_11_is_equal_to_the_facts() -> None:
    from reports.paper.published_figures import SpeedChain
    from reports.paper.published_files import read

    text = SPEC.read_text(encoding="utf-8").split("### 3.6")[1].split("###")[0]
    wanted = [(float(s), float(r)) for s, r in re.findall(r"([\d.]+) s \(([\d.]+)x", text)]
    bars = read("figure11", SpeedChain).bars
    assert [(bar.seconds, bar.faster) for bar in bars[1:]] == wanted
    assert bars[0].seconds == 20.8
    assert len(wanted) == 5


def test_some_cells_stand_as_they_were_printed() -> None:
    table4 = {row[0]: row for row in shown("table4")}
    assert len(table4) == 22
    assert table4["Lumina-Image 2.0"][1:] == [
        "2.6B", "0.87", "0.67", "0.62", "0.73", "91.97", "94.85", "90.20", "87.20",
        "0.8211", "0.6028", "0.7417",
    ]  # fmt: skip
    assert table4["DALL-E 3"][1] == "—"
    assert table4["HART"][1:10] == ["732M", "—", "—", "—", "—", "—", "—", "—", "80.89"]
    assert shown("table2") == [
        ["Lumina-Next", "1.7B", "2", "2\u202f304", "16", "8", "24", "—", "2D-RoPE"],
        ["Lumina-Image 2.0", "2.6B", "2", "2\u202f304", "24", "8", "26", "—", "M-RoPE"],
    ]
    assert shown("table3")[2] == ["HQ Tuning Stage", "1024x1024", "1M", "15", "512", "2e-4", "224", "AdamW"]
    assert shown("table5")[2] == ["Lumina-Image 2.0", "982", "1015", "1051", "1037"]
    assert shown("table6")[1] == ["Imagen 3", "1018", "1003", "1032"]
    assert shown("table7")[4] == ["HunyuanDiT", "0.3920"]
    assert shown("table8")[4] == ["HQ Tuning", "11", "87.6", "0.72"]


def test_bold_goes_by_rank_and_not_by_name() -> None:
    """The paper's text calls Shape its best; its table has it second."""
    found = tables("table4", [])["table4"]
    ranks = {row.cells[0].text: rank for row, rank in zip(found.rows, found.ranks(), strict=True)}
    assert ranks["Lumina-Image 2.0"][2:] == [2, 2, 2, 2, 1, 1, 1, 1, 1, 2, 2]
    assert ranks["DALL-E 3"][-2:] == [1, 1]
    assert ranks["Janus-Pro-7B"][5] == 1


@pytest.mark.parametrize("which", NUMBERS)
def test_each_table_says_its_source_and_what_is_not_known(which: int) -> None:
    name = f"table{which}"
    found = tables(name, [])[name]
    assert any(f"Table {which} (arXiv 2503.21758v1)" in note for note in found.notes)
    if published(name).settings is not None:
        assert all(row.cells[0].marks == ("a",) for row in found.rows)
        assert "settings unknown: whether prompts were rewritten" in found.footnotes[0].text


def test_known_settings_are_told_and_the_others_named() -> None:
    text = told(Settings(rewritten=True, images_per_prompt=4, source="its README"))
    assert text == (
        "settings: whether prompts were rewritten yes, images per prompt 4; "
        "settings unknown: steps, guidance, system prompt, judge; told in its README"
    )


def test_a_standard_error_is_that_of_a_share_and_an_upper_bound_for_means_between() -> None:
    assert published_error(0.73, 2212, "fraction") == pytest.approx(math.sqrt(0.73 * 0.27 / 2212))
    assert published_error(87.2, 4260, "percent") == pytest.approx(100 * math.sqrt(0.872 * 0.128 / 4260))
    assert published_error(1050, 4260, "elo") is None
    assert published_error(0.73, None, "fraction") is None
    assert combined(3.0, 4.0) == 5.0
    assert combined(3.0, None) is None


def test_what_the_stages_differ_by_is_within_what_the_images_can_tell() -> None:
    """By hand: 0.01 against 2 · √(.1971/2212 + .2016/2212) = 0.027; 0.6 against 2 · 0.73."""
    notes = " ".join(tables("table8", [])["table8"].notes)
    assert re.search(r"GenEval: .*5\] and .*11\] differ by 0\.010, less than twice .*\(0\.013\)", notes)
    assert re.search(r"DPG: .*1\] and .*5\] differ by 0\.60, less than twice .*\(0\.73\)", notes)


def test_all_tables_are_there_and_a_wrong_name_gives_the_near_ones() -> None:
    assert names() == [f"table{which}" for which in NUMBERS]
    with pytest.raises(UserError, match="unknown table 'tabel4'; did you mean table4"):
        published("tabel4")


@pytest.mark.parametrize("which", NUMBERS)
def test_each_table_is_written_in_five_forms(which: int, tmp_path: Path) -> None:
    name = f"table{which}"
    files = write(name, [], tmp_path)
    assert [file.name for file in files] == [
        f"{name}.{kind}" for kind in ("md", "tex", "csv", "json", "html")
    ]
    assert json.loads(files[3].read_text())["tables"][0]["id"] == name
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in write(name, [], tmp_path)]


GOOD = """
schema = 1
name = "t"
title = "T"
source = "S"
columns = [{ label = "m", numeric = false }, { label = "x" }]
sections = [{ rows = [["a", 1.0], ["b", 2.0]] }]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "T"', "title = ", r"expected TOML, found .*line 4.* in here; fix: mend that line"),
        ('title = "T"', "", "here: title: Field required; fix"),
        ('source = "S"', 'source = "S"\nnote = 1', "here: note: Extra inputs are not permitted"),
        ('["b", 2.0]', '["b"]', r"row 2 \(b\): expected 2 values, found 1"),
        ('label = "x"', 'label = "m"', "two columns are called 'm'"),
        ('source = "S"', 'source = "S"\nreference = 3', "expected rows from 1 to 2, found 3"),
        (
            'source = "S"',
            'source = "S"\npairs = [{ column = "z", rows = [1, 2] }]',
            "no column is called 'z'",
        ),
        ('source = "S"', 'source = "S"\nrow_settings.c.steps = 3', "no row is called 'c'"),
        ("schema = 1", "schema = 2", "here: schema: Input should be 1"),
    ],
)
def test_a_broken_file_is_an_error_that_says_where(old: str, new: str, said: str) -> None:
    assert parse(GOOD, PublishedTable, "here").columns[1].label == "x"
    with pytest.raises(UserError, match=said):
        parse(GOOD.replace(old, new), PublishedTable, "here")
