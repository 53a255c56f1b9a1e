"""Any table of votes, its columns named by the user: ``model_a=left_model,outcome=choice``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Final

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.reading import Converter
from benchmarks.arena.readers.votes import vote
from lumina_eval.errors import UserError, unknown

FIELDS: Final = tuple(field.name for field in fields(Battle))
NEEDED: Final = ("model_a", "model_b", "outcome")


def column_names(given: Sequence[str]) -> dict[str, str]:
    """Parse FIELD=COLUMN, several by commas; fields that are not named are columns of their own name.

    Raises UserError for a field that a battle does not have.
    """
    names: dict[str, str] = {name: name for name in FIELDS}
    for part in (part for each in given for part in each.split(",")):
        field, equals, column = part.partition("=")
        if not equals or not column:
            raise UserError(
                f"expected FIELD=COLUMN, found {part!r}, in --column; fix: --column outcome=choice"
            )
        if field not in FIELDS:
            raise unknown("field of a battle", field, FIELDS)
        names[field] = column
    return names


def by_columns(names: Mapping[str, str]) -> Converter:
    """Return the converter that reads each field from its column."""
    return lambda row: vote({name: row[at] for name, at in names.items() if at in row})
