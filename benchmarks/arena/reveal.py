"""Undo the anonymity of a table that came back from voters: models in columns beside those of images."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import Final

from benchmarks.arena.layouts import safe_cell
from benchmarks.arena.manifest import ArenaManifest
from lumina_eval.errors import UserError
from lumina_eval.files import write_atomic

#: Names of the new columns where the old ones are those of our own tables; else ``COLUMN_model``.
MODEL_OF: Final = {"image1": "model1", "image2": "model2"}


def reveal(table: Path, manifest: ArenaManifest, out: Path) -> int:
    """Write the CSV ``table`` to ``out`` with the models of its images beside them; return its rows.

    A column holds images if one of its cells ends in the name of an image of the manifest, with or without
    folder and ending. Raises UserError if no column does, or if a cell of such a column is another image.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"expected a CSV table in UTF-8, found {error}, at {table}; fix: save the voters' table as such"
        ) from error
    header = [column for column in rows[0] if column is not None] if rows else []
    for number, row in enumerate(rows, 2):
        if None in row:  # csv.DictReader's key for cells beyond the header
            raise UserError(
                f"{table}:{number}: expected {len(header)} cells, found more; "
                "fix: put a cell that holds a comma in quotes"
            )
    images = [column for column in header if any(_name(row[column]) in manifest.images for row in rows)]
    if not images:
        raise UserError(
            f"expected a column of images of this export, found {', '.join(header) or 'an empty table'}, in "
            f"{table}; fix: --manifest FILE of the export that was voted on"
        )
    for number, row in enumerate(rows, 2):
        for column in images:
            known = manifest.images.get(_name(row[column]))
            if known is None:
                raise UserError(
                    f"{table}:{number}: {row[column]!r} in {column} is no image of this export; fix: "
                    "--manifest FILE of the export that was voted on, or take the row out"
                )
            row[MODEL_OF.get(column, f"{column}_model")] = safe_cell(known.model)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out, text.getvalue().encode())
    return len(rows)


def _name(cell: str | None) -> str:
    return PurePosixPath((cell or "").replace("\\", "/")).stem
