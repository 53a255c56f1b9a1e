"""One table, many renderers: what a report says in rows and columns, before any markup.

A table holds numbers *and* how they are to be read (direction, unit, intervals, which one is best), so that
the Markdown, HTML, LaTeX, CSV and JSON renderers cannot disagree about any of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from reports import numbers
from reports.numbers import EM_DASH as EM_DASH

Direction = Literal["higher", "lower"]
RowKind = Literal["measured", "ceiling", "apart"]

#: Columns with fewer competing values have no second: the worse of two is the last one as well.
FEWEST_FOR_SECOND: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """A named confidence interval, in the unit of the value it belongs to."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"interval {self.name}: low {self.low} is above high {self.high}")


def interval(name: str, bounds: tuple[float, float] | None) -> tuple[Interval, ...]:
    """Return the named interval as a tuple of one, or an empty tuple where there is none."""
    if bounds is None or not all(math.isfinite(bound) for bound in bounds):
        return ()
    return (Interval(name, *bounds),)


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell: ``value`` is for ordering and for machines; ``text`` is shown in its place where it is given.

    ``marks`` are short and stand raised behind the value, each explained by a footnote of the table (``*``).
    ``note`` explains the cell (a tooltip). ``link`` is a relative address that the cell leads to. A value
    that is not finite is unknown.
    """

    text: str | None = None
    value: float | None = None
    intervals: tuple[Interval, ...] = ()
    note: str | None = None
    marks: tuple[str, ...] = ()
    link: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
        if self.link is not None and re.match(r"\s*(//|[a-z][a-z0-9+.-]*:)", self.link, re.IGNORECASE):
            raise ValueError(f"expected a relative address, found {self.link!r}")

    @staticmethod
    def missing(note: str | None = None) -> Cell:
        """A cell whose value is unknown."""
        return Cell(EM_DASH, note=note)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column's name, how its values are written, and which way is better (``None``: it has no better).

    ``unit`` gives the digits after the point (:func:`reports.numbers.digits`) unless ``digits`` does;
    ``signed`` values are differences and carry their sign. Neighbours of one ``group`` stand under its name.
    """

    label: str
    direction: Direction | None = None
    unit: str = "fraction"
    digits: int | None = None
    note: str | None = None
    numeric: bool = True
    signed: bool = False
    marks: tuple[str, ...] = ()
    group: str = ""

    @property
    def name(self) -> str:
        """Group and label, for where there is one line of names."""
        return f"{self.group} {self.label}".strip()

    @property
    def places(self) -> int:
        """Digits after the decimal point."""
        return numbers.digits(self.unit) if self.digits is None else self.digits

    def shows(self, cell: Cell) -> str:
        """Return what people read in a cell of this column; the unknown is an em dash."""
        if cell.text is not None:
            return cell.text
        if self.unit == "count" and cell.value is not None:
            return numbers.count(round(cell.value))
        return (numbers.signed if self.signed else numbers.fixed)(cell.value, self.places)

    def bounds(self, found: Interval) -> str:
        """Return what people read of an interval in this column."""
        return f"[{numbers.fixed(found.low, self.places)}, {numbers.fixed(found.high, self.places)}]"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Cells from left to right; the first one names the row.

    A ``ceiling`` is shown beside the others and never competes; nor does a row that stands ``apart``, below a
    rule, because its numbers cannot be compared with those above: its ``section`` says why. A section is a
    line above the first of the rows that have it. ``run`` is the id of the run that the row comes from.
    """

    cells: tuple[Cell, ...]
    kind: RowKind = "measured"
    section: str = ""
    run: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "apart" and not self.section:
            raise ValueError("a row that stands apart needs a section that says why")


@dataclasses.dataclass(frozen=True, slots=True)
class Footnote:
    """What a raised mark means."""

    mark: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A caption, columns, rows, and what belongs below them: footnotes, notes, where the numbers are from.

    ``mark`` says what every number in it is limited to (a subset, a changed protocol); no renderer leaves it
    out. ``scale`` is the range (low, high) to draw intervals on, or ``None`` for no drawing.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    footnotes: tuple[Footnote, ...] = ()
    provenance: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    mark: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                found = f"expected {len(self.columns)} cells a row, found {len(row.cells)}"
                raise ValueError(f"table {self.caption!r}: {found}")
        used = {mark for row in self.rows for cell in row.cells for mark in cell.marks}
        used |= {mark for column in self.columns for mark in column.marks}
        if unexplained := used - {note.mark for note in self.footnotes}:
            raise ValueError(f"table {self.caption!r}: no footnote for {', '.join(sorted(unexplained))}")

    @property
    def marked_caption(self) -> str:
        """Caption and mark in one line of plain text."""
        return f"{self.caption} ({self.mark})" if self.mark else self.caption

    def column(self, index: int) -> Iterator[Cell]:
        """Cells of one column, from top to bottom."""
        return (row.cells[index] for row in self.rows)

    def shown(self, index: int) -> list[str]:
        """Return what people read in one column, from top to bottom."""
        return [self.columns[index].shows(cell) for cell in self.column(index)]

    def groups(self) -> list[tuple[str, int]]:
        """Return (name, number of columns) of each run of neighbours in one group; nothing without groups."""
        if not any(column.group for column in self.columns):
            return []
        parts = itertools.groupby(self.columns, key=lambda column: column.group)
        return [(name, len(list(columns))) for name, columns in parts]

    def interval_names(self) -> list[str]:
        """Names of all intervals in the table, in order of first appearance."""
        found = (i.name for row in self.rows for cell in row.cells for i in cell.intervals)
        return list(dict.fromkeys(found))

    def ranks(self) -> list[list[Literal[1, 2] | None]]:
        """Return for each row and column 1 for the best value, 2 for the second, None for all others.

        Only measured rows compete, in columns that have a direction and at least two of them with a value.
        Values that are *shown* alike are equally good: what cannot be told apart on the page is not ranked on
        it. Two that share the first place are followed by a second; where all share it, none is the best.
        """
        found: list[list[Literal[1, 2] | None]] = [[None] * len(self.columns) for _ in self.rows]
        for index, column in enumerate(self.columns):
            if column.direction is None:
                continue
            sign = -1.0 if column.direction == "higher" else 1.0
            competing = {
                place: (sign * cell.value, column.shows(cell))
                for place, (row, cell) in enumerate(zip(self.rows, self.column(index), strict=True))
                if row.kind == "measured" and cell.value is not None
            }
            for rank, shown in zip((1, 2), _leaders(list(competing.values())), strict=False):
                for place, (_, text) in competing.items():
                    if text == shown:
                        found[place][index] = 1 if rank == 1 else 2
        return found


def _leaders(competing: Sequence[tuple[float, str]]) -> list[str]:
    """Return the shown forms of the best and, where there are enough, of the second."""
    order = list(dict.fromkeys(text for _, text in sorted(competing)))
    if len(order) < 2:
        return []
    return order[:2] if len(competing) >= FEWEST_FOR_SECOND else order[:1]
