"""One table, many renderers: what a report says in rows and columns, before any markup.

A table holds numbers *and* how they are to be read (direction, intervals, which one is best), so that the
Markdown, HTML, LaTeX and CSV renderers cannot disagree about any of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, Literal

#: Shown wherever a value is unknown. Never an empty cell, never a zero.
EM_DASH: Final = "—"

Direction = Literal["higher", "lower"]
RowKind = Literal["measured", "ceiling"]


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """A named confidence interval, in the unit of the value it belongs to."""

    name: str
    low: float
    high: float
    display: str

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"interval {self.name}: low {self.low} is above high {self.high}")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell: ``value`` is for ordering and for machines, ``display`` for people.

    ``note`` explains the cell (a tooltip or a footnote), ``best`` marks the best of its column, and
    ``significance`` is a short mark such as ``*``, explained in the table's notes.
    """

    display: str
    value: float | None = None
    intervals: tuple[Interval, ...] = ()
    note: str | None = None
    best: bool = False
    significance: str = ""

    @staticmethod
    def missing(note: str | None = None) -> Cell:
        """A cell whose value is unknown."""
        return Cell(EM_DASH, note=note)


@dataclasses.dataclass(frozen=True, slots=True)
class HeaderCell:
    """A column's name, and which way is better (``None``: the column has no better)."""

    label: str
    direction: Direction | None = None
    note: str | None = None
    numeric: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Cells from left to right; the first one names the row. A ceiling is shown apart and never competes."""

    cells: tuple[Cell, ...]
    kind: RowKind = "measured"


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A caption, columns, rows, and the notes that belong below them.

    ``mark`` says what every number in it is limited to (a subset, a changed protocol); no renderer leaves it
    out. ``scale`` is the range (low, high) to draw intervals on, or ``None`` for no drawing.
    """

    caption: str
    header: tuple[HeaderCell, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    mark: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.header):
                raise ValueError(
                    f"table {self.caption!r}: expected {len(self.header)} cells a row, found {len(row.cells)}"
                )

    @property
    def marked_caption(self) -> str:
        """Caption and mark in one line of plain text."""
        return f"{self.caption} ({self.mark})" if self.mark else self.caption

    def column(self, index: int) -> Iterator[Cell]:
        """Cells of one column, from top to bottom."""
        return (row.cells[index] for row in self.rows)

    def interval_names(self) -> list[str]:
        """Names of all intervals in the table, in order of first appearance."""
        found = (i.name for row in self.rows for cell in row.cells for i in cell.intervals)
        return list(dict.fromkeys(found))


def mark_best(table: Table) -> Table:
    """Return the table with the best measured value of every directed column marked.

    Equal *displayed* values are equally good: what cannot be told apart on the page is not ranked on it.
    Columns with fewer than two measured values have no best.
    """
    rows = list(table.rows)
    for index, header in enumerate(table.header):
        if header.direction is None:
            continue
        measured = [r.cells[index] for r in rows if r.kind == "measured" and r.cells[index].value is not None]
        if len(measured) < 2:
            continue
        choose = max if header.direction == "higher" else min
        winner = choose(measured, key=_value).display
        rows = [_marked(row, index, winner) for row in rows]
    return dataclasses.replace(table, rows=tuple(rows))


def _value(cell: Cell) -> float:
    assert cell.value is not None
    return cell.value


def _marked(row: Row, index: int, winner: str) -> Row:
    cell = row.cells[index]
    best = row.kind == "measured" and cell.value is not None and cell.display == winner
    return dataclasses.replace(row, cells=_with(row.cells, index, dataclasses.replace(cell, best=best)))


def _with(cells: Sequence[Cell], index: int, cell: Cell) -> tuple[Cell, ...]:
    return (*cells[:index], cell, *cells[index + 1 :])
