"""A table as JSON: for machines, everything that a table holds, at full precision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lumina_eval.files import write_atomic
from reports.document import document
from reports.table import Cell, Column, Row, Table

#: Name of the file within the output folder.
PAGE: Final = "report.json"
SCHEMA: Final = 1


def render(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    """Write all tables of a report to ``report.json`` in folder ``out``: ``{"schema": 1, "tables": […]}``.

    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    tables = [
        {"id": f"{section.anchor}-{place}", "section": section.title, **json_object(table)}
        for section in document(run_dirs, None).sections
        for place, table in enumerate(section.tables(), 1)
    ]
    path = Path(out) / PAGE
    write_atomic(path, _dumped({"schema": SCHEMA, "tables": tables}).encode())
    return [path]


def json_table(table: Table) -> str:
    """Render as a JSON object with ``schema`` 1; see :func:`json_object`."""
    return _dumped({"schema": SCHEMA, **json_object(table)})


def json_object(table: Table) -> dict[str, Any]:
    """Return a table as JSON values. The unknown is null and no number is NaN or infinite.

    ``columns`` and, in each of ``rows``, ``cells`` are lists of one length. A cell has its ``value``, the
    ``text`` that people read in full length, ``rank`` (1 the best of its column, 2 the second, else null),
    ``intervals`` as name to [low, high], ``marks`` (explained in ``footnotes``), ``note`` and ``link``.
    """
    return {
        "caption": table.caption,
        "mark": table.mark or None,
        "columns": [_column(column) for column in table.columns],
        "rows": [_row(table, row, ranks) for row, ranks in zip(table.rows, table.ranks(), strict=True)],
        "notes": list(table.notes),
        "footnotes": [{"mark": note.mark, "text": note.text} for note in table.footnotes],
        "provenance": list(table.provenance),
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "group": column.group or None,
        "label": column.label,
        "direction": column.direction,
        "unit": column.unit if column.numeric else None,
        "digits": column.places if column.numeric else None,
        "numeric": column.numeric,
        "marks": list(column.marks),
        "note": column.note,
    }


def _row(table: Table, row: Row, ranks: Sequence[int | None]) -> dict[str, Any]:
    cells = zip(table.columns, row.cells, ranks, strict=True)
    return {
        "kind": row.kind,
        "section": row.section or None,
        "run": row.run,
        "cells": [_cell(column, cell, rank) for column, cell, rank in cells],
    }


def _cell(column: Column, cell: Cell, rank: int | None) -> dict[str, Any]:
    return {
        "value": cell.value,
        "text": column.shows(cell),
        "rank": rank,
        "intervals": {found.name: [found.low, found.high] for found in cell.intervals},
        "marks": list(cell.marks),
        "note": cell.note,
        "link": cell.link,
    }


def _dumped(values: object) -> str:
    # A lone surrogate cannot be written as UTF-8; as an escape it can.
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"
