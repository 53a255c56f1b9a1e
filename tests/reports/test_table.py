"""The table, and the renderers that must agree about it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_page import html_table

from reports.plain_text import visible
from reports.renderers.csv import csv_table
from reports.renderers.html import bar
from reports.renderers.json import json_table
from reports.renderers.latex import latex_table
from reports.renderers.latex_text import escape as latex_escape
from reports.renderers.markdown import escape as markdown_escape
from reports.renderers.markdown import markdown_table
from reports.table import EM_DASH, Cell, Column, Footnote, Interval, Row, RowKind, Table, interval

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=40)


def table(*values: float | None, direction: str = "higher", ceiling: float | None = None) -> Table:
    rows = [Row((Cell(f"r{n}"), number(v))) for n, v in enumerate(values)]
    if ceiling is not None:
        rows.append(Row((Cell("ceiling"), number(ceiling)), "ceiling"))
    columns = (Column("model", numeric=False), Column("score", direction, digits=2))  # type: ignore[arg-type]
    return Table("Scores", columns, tuple(rows), ("a note",), scale=(0.0, 1.0))


def number(value: float | None) -> Cell:
    if value is None:
        return Cell.missing()
    return Cell(value=value, intervals=(Interval("seeds", value - 0.1, value + 0.1),))


def ranks(found: Table) -> list[int | None]:
    return [row[1] for row in found.ranks()]


class Text(HTMLParser):
    """Collects the cells of an HTML table as a browser would show them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells[-1] += data


@pytest.mark.parametrize(("direction", "wanted"), [("higher", [2, 1, None]), ("lower", [2, None, 1])])
def test_ranks_follow_the_direction_and_ignore_the_ceiling(direction: str, wanted: list[int | None]) -> None:
    ceiling = 0.99 if direction == "higher" else 0.0
    found = table(0.2, 0.7, 0.1, None, direction=direction, ceiling=ceiling)
    assert ranks(found) == [*wanted, None, None]


def test_values_that_look_alike_are_equally_good() -> None:
    assert ranks(table(0.701, 0.704, 0.2)) == [1, 1, 2]
    assert ranks(table(0.9, 0.701, 0.704, 0.2)) == [1, 2, 2, None]


def test_a_single_value_is_not_the_best_and_the_worse_of_two_is_no_second() -> None:
    assert ranks(table(0.5, None, ceiling=0.9)) == [None, None, None]
    assert ranks(table(0.5, 0.4)) == [1, None]


@pytest.mark.parametrize("render", [markdown_table, html_table, latex_table, json_table])
def test_where_all_are_equally_good_none_is_the_best(render: object) -> None:
    assert ranks(table(0.0, 0.0)) == [None, None]
    assert ranks(table(0.701, 0.704, 0.7, None, ceiling=0.9)) == [None] * 5
    marks = r"\*\*0|\\textbf\{0|class=\"num best|\"rank\": 1"
    assert not re.search(marks, render(table(0.0, 0.0)))  # type: ignore[operator]
    assert re.search(marks, render(table(0.0, 0.5)))  # type: ignore[operator]


def test_a_column_without_a_direction_has_no_best() -> None:
    found = table(0.1, 0.2, 0.3)
    plain = dataclasses.replace(found, columns=(found.columns[0], Column("score")))
    assert ranks(plain) == [None, None, None]


def test_what_stands_apart_never_competes_and_says_why() -> None:
    found = table(0.1, 0.2, 0.3)
    other = Row((Cell("drawn"), number(0.9)), "apart", "tabletop world: not comparable")
    whole = dataclasses.replace(found, rows=(*found.rows, other))
    assert ranks(whole) == [None, 2, 1, None]
    for render in (markdown_table, html_table, latex_table, csv_table, json_table):
        assert "tabletop world: not comparable" in render(whole)
    with pytest.raises(ValueError, match="says why"):
        Row((Cell("drawn"),), "apart")


def test_a_mark_without_a_footnote_is_refused() -> None:
    columns = (Column("model", numeric=False),)
    with pytest.raises(ValueError, match="no footnote for a"):
        Table("c", columns, (Row((Cell("x", marks=("a",)),)),))
    with pytest.raises(ValueError, match="no footnote for b"):
        Table("c", (Column("model", numeric=False, marks=("b",)),), ())


@pytest.mark.parametrize("link", ["javascript:alert(1)", " HTTPS://x", "//host/x"])
def test_a_link_leads_nowhere_but_beside_the_table(link: str) -> None:
    with pytest.raises(ValueError, match="relative address"):
        Cell("x", link=link)


def test_a_value_that_is_not_finite_is_unknown() -> None:
    assert [Cell(value=value).value for value in (float("nan"), float("inf"), 1.5)] == [None, None, 1.5]


def test_a_column_says_how_its_values_are_written() -> None:
    assert Column("n", unit="count").shows(Cell(value=12345)) == "12\u202f345"
    assert Column("d", unit="percent", signed=True).shows(Cell(value=0.5)) == "+0.50"
    assert Column("d", digits=1).shows(Cell(value=0.25)) == "0.2"
    assert Column("d").shows(Cell()) == EM_DASH
    assert Column("d").shows(Cell("2.6B", 2.6e9)) == "2.6B"
    assert Column("d", digits=2).bounds(Interval("i", -0.05, 0.25)) == "[−0.05, 0.25]"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 cells"):
        dataclasses.replace(table(0.5), rows=(Row((Cell("x"),)),))


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="above high"):
        Interval("seeds", 0.5, 0.4)


@pytest.mark.parametrize("render", [markdown_table, html_table, latex_table])
def test_every_renderer_says_values_intervals_notes_marks_and_what_is_missing(render: object) -> None:
    marked = dataclasses.replace(table(0.25, 0.75, None), mark="subset: 8 per task", provenance=("origin",))
    text = re.sub(r"[\\{]([\[\]])\}?", r"\1", render(marked))  # type: ignore[operator]
    wanted = ("0.25", "0.75", "[0.15, 0.35]", "seeds", "a note", "origin", "subset: 8 per task")
    assert [word for word in wanted if word not in text] == []
    assert (EM_DASH if render is not latex_table else "---") in text


def test_markdown_rows_have_as_many_columns_as_the_header() -> None:
    lines = [line for line in markdown_table(table(0.1, None)).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[1] == "| :--- | ---: |"


@given(TEXT)
def test_markdown_shows_any_text_as_it_stands(text: str) -> None:
    """Undoing the escapes gives the text back, and no character with a meaning is left bare."""
    escaped = markdown_escape(text)
    undone = escaped.replace("&#64;&#8203;", "@").replace("&#47;", "/").replace("&#46;", ".")
    assert re.sub(r"\\([\\`*_\[\]<>|~#$&])", r"\1", undone) == re.sub(r"\s*\n\s*", " ", text)
    assert not re.search(r"[`*_\[\]<>|~#$&@]|://|www\.", re.sub(r"\\.|&#\d+;", "", escaped))


@given(TEXT)
def test_html_shows_any_text_as_it_stands(text: str) -> None:
    made = Table("c", (Column("h", numeric=False),), (Row((Cell(text, note=text),)),))
    parsed = Text(html_table(made))
    assert parsed.cells[1].strip() == visible(text).strip()
    table_tags = {"table", "thead", "tbody", "tr", "th", "td"}
    assert parsed.tags <= {"figure", "figcaption", "div", "span", "bdi"} | table_tags


@given(TEXT)
def test_latex_leaves_no_special_character_bare_and_is_ascii(text: str) -> None:
    """After taking the commands out, nothing is left that TeX would read as anything but a letter."""
    made = latex_escape(text)
    assert made.isascii()
    commands = r"\\scriptsize|\\ensuremath\{\\[A-Za-z]+\}|\\[A-Za-z]+\{|\\['`^~\"=.]|\\,|\\[{}$&#%_]"
    rest = re.sub(commands, "", made)
    assert not re.search(r"[\\$&#%_^<>|]", rest.replace("~", ""))


def test_latex_escapes_once() -> None:
    assert latex_escape(r"50% of {a_b} \ ~") == r"50\% of \{a\_b\} \textbackslash{} \textasciitilde{}"
    assert latex_escape("--''") == "-{}-'{}'"


def test_latex_rows_are_as_wide_as_the_table_and_the_best_is_bold() -> None:
    text = latex_table(table(0.25, 0.75, 0.5), "tab:x")
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body} == {1}
    assert r"\textbf{0.75}" in text
    assert r"\underline{0.50}" in text
    assert r"{0.25}" not in text
    assert r"score\,$\uparrow$" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"\label{tab:x}" in text


def test_csv_writes_whole_numbers_without_a_point() -> None:
    read = list(csv.reader(io.StringIO(csv_table(table(3_800_000_000.0, 0.25, 1e300)))))
    assert {"3800000000", "0.25", "1e+300"} <= {field for row in read for field in row}


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6))
def test_csv_keeps_every_digit_and_leaves_the_unknown_empty(values: list[float | None]) -> None:
    read = list(csv.DictReader(io.StringIO(csv_table(table(*values)))))
    assert [float(row["score"]) if row["score"] else None for row in read] == values
    known = [(row, v) for row, v in zip(read, values, strict=True) if v is not None]
    assert all(float(row["score seeds low"]) == v - 0.1 for row, v in known)


@given(st.floats(-0.5, 1.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_bars_stay_within_the_cell_and_the_widest_lies_below(
    value: float, narrow: float, wide: float
) -> None:
    cell = Cell(
        "x",
        value,
        (Interval("a", value - narrow, value + narrow), Interval("b", value - wide, value + wide)),
    )
    spans = bar(cell, (0.0, 1.0))
    assert all(left >= 0 and width >= 0 and left + width <= 100.01 for _, left, width in spans)
    assert [width for _, _, width in spans] == sorted((width for _, _, width in spans), reverse=True)
    assert spans[-1][0] == "value"


def test_no_bar_without_a_scale_or_an_interval() -> None:
    assert bar(number(0.5), None) == []
    assert bar(Cell("0.5", 0.5), (0.0, 1.0)) == []


def test_an_interval_that_is_not_known_is_none() -> None:
    assert interval("seeds", None) == ()
    assert interval("seeds", (0.0, float("inf"))) == ()
    assert interval("seeds", (-0.05, 0.25)) == (Interval("seeds", -0.05, 0.25),)


@pytest.mark.parametrize("kind", ["measured", "ceiling"])
def test_json_says_all_that_a_table_holds(kind: RowKind) -> None:
    columns = (Column("model", numeric=False), Column("score", "higher", "percent", marks=("a",)))
    cells = (Cell("x", link="runs/x.html"), Cell(value=1 / 3, intervals=(Interval("seeds", 0.1, 0.5),)))
    rows = (Row(cells, kind, run="r"), Row((Cell("y"), Cell.missing("not measured")), run="s"))
    made = Table("c", columns, rows, ("n",), (Footnote("a", "why"),), ("origin",), mark="subset")
    read = json.loads(json_table(made), parse_constant=pytest.fail)
    assert (read["schema"], read["caption"], read["mark"]) == (1, "c", "subset")
    assert read["columns"][1] == {
        "group": None, "label": "score", "direction": "higher", "unit": "percent", "digits": 2,
        "numeric": True, "marks": ["a"], "note": None,
    }  # fmt: skip
    first, second = read["rows"]
    assert (first["kind"], first["run"], first["section"]) == (kind, "r", None)
    assert first["cells"][0]["link"] == "runs/x.html"
    assert first["cells"][1]["value"] == 1 / 3
    assert first["cells"][1]["text"] == "0.33"
    assert first["cells"][1]["intervals"] == {"seeds": [0.1, 0.5]}
    assert (second["cells"][1]["value"], second["cells"][1]["note"]) == (None, "not measured")
    assert (read["notes"], read["provenance"]) == (["n"], ["origin"])
    assert read["footnotes"] == [{"mark": "a", "text": "why"}]
