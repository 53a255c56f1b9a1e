"""The CSV renderer: for spreadsheets and scripts, full precision, one column per bound of each interval."""

from __future__ import annotations

import csv
import io

from reports.table import Cell, Table


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
    writer.writerow(head)
    for row in table.rows:
        fields: list[str] = []
        for header, of_column, cell in zip(table.header, names, row.cells, strict=True):
            fields.append(_number(cell) if header.numeric else cell.display)
            for name in of_column:
                found = next((i for i in cell.intervals if i.name == name), None)
                fields += [repr(found.low), repr(found.high)] if found else ["", ""]
        writer.writerow(fields)
    return out.getvalue()


def _number(cell: Cell) -> str:
    return "" if cell.value is None else repr(cell.value)
