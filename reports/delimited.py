"""The CSV renderer: for spreadsheets and scripts, full precision, one column per bound of each interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.files import write_atomic
from reports.document import document
from reports.table import Cell, Table

#: Name of the folder within the output folder.
FOLDER: Final = "report-tables"


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

    A numeric column with intervals is followed by ``<label> <interval> low`` and ``… high``.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [list(dict.fromkeys(i.name for c in table.column(k) for i in c.intervals))
             for k in range(len(table.header))]  # fmt: skip
    head: list[str] = []
    for header, of_column in zip(table.header, names, strict=True):
        head.append(header.label)
        head += [f"{header.label} {name} {bound}" for name in of_column for bound in ("low", "high")]
    writer.writerow([*head, *(["mark"] if table.mark else [])])
    for row in table.rows:
        fields: list[str] = []
        for header, of_column, cell in zip(table.header, names, row.cells, strict=True):
            fields.append(_number(cell) if header.numeric else cell.display)
            for name in of_column:
                found = next((i for i in cell.intervals if i.name == name), None)
                fields += [repr(found.low), repr(found.high)] if found else ["", ""]
        writer.writerow([*fields, *([table.mark] if table.mark else [])])
    return out.getvalue()


def _number(cell: Cell) -> str:
    return "" if cell.value is None else repr(cell.value)
