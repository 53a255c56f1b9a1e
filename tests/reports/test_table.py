"""The table, and the renderers that must agree about it."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.delimited import csv_table
from reports.html import bar, html_table
from reports.latex import escape as latex_escape
from reports.latex import latex_table
from reports.markdown import escape as markdown_escape
from reports.markdown import markdown_table
from reports.table import EM_DASH, Cell, HeaderCell, Interval, Row, Table, mark_best

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=40)


def table(*values: float | None, direction: str = "higher", ceiling: float | None = None) -> Table:
    rows = [Row((Cell(f"r{n}"), number(v))) for n, v in enumerate(values)]
    if ceiling is not None:
        rows.append(Row((Cell("ceiling"), number(ceiling)), "ceiling"))
    header = (HeaderCell("model", numeric=False), HeaderCell("score", direction))  # type: ignore[arg-type]
    return Table("Scores", header, tuple(rows), ("a note",), (0.0, 1.0))


def number(value: float | None) -> Cell:
    if value is None:
        return Cell.missing()
    interval = Interval("seeds", value - 0.1, value + 0.1, f"[{value - 0.1:.2f}, {value + 0.1:.2f}]")
    return Cell(f"{value:.2f}", value, (interval,))


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


@pytest.mark.parametrize(("direction", "best"), [("higher", "r1"), ("lower", "r0")])
def test_the_best_follows_the_direction_and_ignores_the_ceiling(direction: str, best: str) -> None:
    marked = mark_best(table(0.2, 0.7, None, direction=direction, ceiling=0.99 if best == "r1" else 0.0))
    assert [row.cells[0].display for row in marked.rows if row.cells[1].best] == [best]


def test_values_that_look_alike_are_equally_good() -> None:
    marked = mark_best(table(0.701, 0.704, 0.2))
    assert [row.cells[1].best for row in marked.rows] == [True, True, False]


def test_a_single_value_is_not_the_best() -> None:
    assert not any(row.cells[1].best for row in mark_best(table(0.5, None, ceiling=0.9)).rows)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 cells"):
        dataclasses.replace(table(0.5), rows=(Row((Cell("x"),)),))


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="above high"):
        Interval("seeds", 0.5, 0.4, "")


@pytest.mark.parametrize("render", [markdown_table, html_table, latex_table])
def test_every_renderer_says_values_intervals_notes_marks_and_what_is_missing(render: object) -> None:
    marked = dataclasses.replace(mark_best(table(0.25, 0.75, None)), mark="subset: 8 per task")
    text = render(marked).replace("\\[", "[").replace("\\]", "]")  # type: ignore[operator]
    assert all(
        word in text for word in ("0.25", "0.75", "[0.15, 0.35]", "seeds", "a note", "subset: 8 per task")
    )
    assert (EM_DASH if render is not latex_table else "---") in text


def test_markdown_rows_have_as_many_columns_as_the_header() -> None:
    lines = [line for line in markdown_table(table(0.1, None)).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[1] == "| :--- | ---: |"


@given(TEXT)
def test_markdown_shows_any_text_as_it_stands(text: str) -> None:
    """Undoing the escapes gives the text back, and no character with a meaning is left bare."""
    escaped = markdown_escape(text)
    assert re.sub(r"\\([\\`*_\[\]<>|~#$&])", r"\1", escaped) == re.sub(r"\s*\n\s*", " ", text)
    assert not re.search(r"[`*_\[\]<>|~#$&]", re.sub(r"\\.", "", escaped))


@given(TEXT)
def test_html_shows_any_text_as_it_stands(text: str) -> None:
    made = Table("c", (HeaderCell("h", numeric=False),), (Row((Cell(text, note=text),)),))
    parsed = Text(html_table(made))
    assert parsed.cells[1].strip() == text.strip()
    assert parsed.tags <= {"figure", "figcaption", "div", "table", "thead", "tbody", "tr", "th", "td", "span"}


@given(TEXT)
def test_latex_leaves_no_special_character_bare(text: str) -> None:
    """After taking the commands out, nothing is left that TeX would read as anything but a letter."""
    commands = (
        r"\\(textbackslash|textasciicircum|textasciitilde|textless|textgreater|textbar|textminus|textpm"
        r"|texttimes|textperiodcentered|ldots|textrightarrow|dag|ddag)\{\}|\\ensuremath\{\\(geq|leq|Delta)\}|\\,|\\[{}$&#%_]"
    )
    rest = re.sub(commands, "", latex_escape(text)).replace("~", "")
    assert not re.search(r"[\\{}$&#%_^<>|]", rest)


def test_latex_escapes_once() -> None:
    assert latex_escape(r"50% of {a_b} \ ~") == r"50\% of \{a\_b\} \textbackslash{} \textasciitilde{}"


def test_latex_rows_are_as_wide_as_the_table_and_the_best_is_bold() -> None:
    text = latex_table(mark_best(table(0.25, 0.75)), "tab:x")
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body} == {1}
    assert r"\textbf{0.75}" in text
    assert r"\textbf{0.25}" not in text
    assert r"score\,$\uparrow$" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"\label{tab:x}" in text


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
        (Interval("a", value - narrow, value + narrow, ""), Interval("b", value - wide, value + wide, "")),
    )
    spans = bar(cell, (0.0, 1.0))
    assert all(left >= 0 and width >= 0 and left + width <= 100.01 for _, left, width in spans)
    assert [width for _, _, width in spans] == sorted((width for _, _, width in spans), reverse=True)
    assert spans[-1][0] == "value"


def test_no_bar_without_a_scale_or_an_interval() -> None:
    assert bar(number(0.5), None) == []
    assert bar(Cell("0.5", 0.5), (0.0, 1.0)) == []
