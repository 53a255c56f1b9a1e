"""A table as HTML: what ``templates/table.html.j2`` needs, in every page that has one."""

from __future__ import annotations

from typing import Final

import jinja2

from reports.plain_text import is_cut, line, short, visible
from reports.table import Cell, Column

#: Longest text that is shown when a cell is pointed at.
LONGEST_TITLE: Final = 20_000


def environment() -> jinja2.Environment:
    """Return the environment of the templates: everything is escaped, an unknown name is an error."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["bar"] = bar
    found.filters |= {
        "short": short,
        "line": line,
        "visible": visible,
        "cell_title": cell_title,
        "head_title": head_title,
    }
    return found


def cell_title(cell: Cell, text: str) -> str:
    """Return what a cell says when it is pointed at: its whole text where that is cut, and its note."""
    parts = (text if is_cut(text) else "", cell.note or "")
    return " · ".join(short(part, LONGEST_TITLE) for part in parts if part)


def head_title(column: Column) -> str:
    """Return what a column's head says when it is pointed at."""
    return cell_title(Cell(note=column.note), column.label)


def bar(cell: Cell, scale: tuple[float, float] | None) -> list[tuple[str, float, float]]:
    """Return (name, left, width) of each interval and of the value, in percent of the table's scale.

    Intervals come with the widest first, so that narrower ones lie on top; the value has no width.
    """
    if scale is None or cell.value is None or not cell.intervals:
        return []
    low, high = scale

    def place(value: float) -> float:
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)

    spans = [(i.name, place(i.low), round(place(i.high) - place(i.low), 2)) for i in cell.intervals]
    return [*sorted(spans, key=lambda span: -span[2]), ("value", place(cell.value), 0.0)]
