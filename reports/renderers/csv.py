"""A table as CSV: for spreadsheets and scripts, full precision, one column per bound of each interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.files import write_atomic
from reports.document import document
from reports.table import Cell, Column, Table

#: Name of the folder within the output folder.
FOLDER: Final = "report-tables"

#: A spreadsheet takes a field that begins so for a formula.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

#: That of RFC 4180. The writer quotes the characters of it: behind a bare CR a spreadsheet would see a row.
LINE_END: Final = "\r\n"


def render(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    """Write each table of a report as a CSV file of its own to folder ``report-tables`` in ``out``.

    The mark of a table (a subset, a changed protocol) is a column of the file.
    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    for section in document(run_dirs, None).sections:
        for place, table in enumerate(section.tables(), 1):
            write_atomic(Path(out) / FOLDER / f"{section.anchor}-{place}.csv", csv_table(table).encode())
    return [Path(out) / FOLDER]


def csv_table(table: Table) -> str:
    """Render as CSV (RFC 4180, UTF-8). Numbers are written in full; an unknown value is an empty field.

    A column with intervals is followed by ``<label> <interval> low`` and ``… high``, one with marks by
    ``<label> marks``. The last columns say what kind of row it is, its section, its run and the table's mark,
    each where there is something to say. Text that a spreadsheet would take for a formula follows a quote.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=LINE_END)
    about = _about(table)
    writer.writerow(
        [safe(name) for index in range(len(table.columns)) for name in _heads(table, index)] + list(about)
    )
    for place, row in enumerate(table.rows):
        fields: list[str] = []
        for index, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
            fields += _fields(table, index, column, cell)
        writer.writerow([*fields, *(safe(values[place]) for values in about.values())])
    return out.getvalue()


def _about(table: Table) -> dict[str, list[str]]:
    """Columns beside the cells by name, with a value for each row."""
    columns: dict[str, list[str]] = {
        "kind": [row.kind for row in table.rows] if any(row.kind != "measured" for row in table.rows) else [],
        "section": [row.section for row in table.rows],
        "run": [row.run or "" for row in table.rows],
        "mark": [table.mark] * len(table.rows),
    }
    return {name: values for name, values in columns.items() if any(values)}


def _intervals(table: Table, index: int) -> list[str]:
    return list(dict.fromkeys(found.name for cell in table.column(index) for found in cell.intervals))


def _has_marks(table: Table, index: int) -> bool:
    return any(cell.marks for cell in table.column(index))


def _heads(table: Table, index: int) -> list[str]:
    label = table.columns[index].name
    bounds = [f"{label} {name} {bound}" for name in _intervals(table, index) for bound in ("low", "high")]
    return [label, *bounds, *([f"{label} marks"] if _has_marks(table, index) else [])]


def _fields(table: Table, index: int, column: Column, cell: Cell) -> list[str]:
    fields = [_number(cell) if column.numeric else safe(column.shows(cell))]
    for name in _intervals(table, index):
        found = next((one for one in cell.intervals if one.name == name), None)
        fields += [_digits(found.low), _digits(found.high)] if found else ["", ""]
    return fields + ([safe(" ".join(cell.marks))] if _has_marks(table, index) else [])


def _number(cell: Cell) -> str:
    return "" if cell.value is None else _digits(cell.value)


def _digits(number: float) -> str:
    """Write a number in full; a whole one without a point, as spreadsheets and people do."""
    return repr(int(number)) if float(number).is_integer() and abs(number) < 2**53 else repr(number)


def safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula and every file can hold."""
    # A lone surrogate is no character and cannot be written.
    whole = text.encode("utf-8", "backslashreplace").decode()
    return f"'{whole}" if whole.startswith(FORMULA) else whole
