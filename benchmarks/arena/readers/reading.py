"""Rows turned into battles by a converter: bad ones are an error that names the line, or are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.rows import Broken, Row, Rows
from benchmarks.arena.readers.values import number_of
from lumina_eval.errors import UserError, nearest

Converter = Callable[[Row], Iterable[Battle]]
"""A row to its battles. It raises ValueError for a bad row, and KeyError for a column that is not there."""


@dataclass(frozen=True)
class Reading:
    """The battles of a file, in the order of the file.

    ``features`` are the differences between the two sides that a rating shall control for, (controls,) for
    each battle. ``skipped`` bad rows were left out, ``first_skipped`` says where and why the first was;
    ``named`` battles were left out because the voter saw which model was which.
    """

    battles: list[Battle]
    features: list[tuple[tuple[float, float], ...]]
    skipped: int = 0
    first_skipped: str = ""
    named: int = 0


def collect(
    rows: Rows,
    convert: Converter,
    *,
    skip_bad: bool = False,
    controls: Sequence[str] = (),
    keep_named: bool = False,
) -> Reading:
    """Convert every row.

    Raises UserError for the first bad row unless ``skip_bad``, and if no battle is left.
    """
    battles: list[Battle] = []
    features: list[tuple[tuple[float, float], ...]] = []
    skipped, named, first = 0, 0, ""
    for number, row in rows.items:
        try:
            if isinstance(row, Broken):
                raise ValueError(row.reason)
            if not keep_named and row.get("anony") is False:
                named += 1
                continue
            found = list(convert(row))
            if controls:
                features.extend([tuple(sides(row, name) for name in controls)] * len(found))
            battles.extend(found)
        except (ValueError, KeyError) as error:
            reason = f"no column {error}" if isinstance(error, KeyError) else str(error)
            if not skip_bad:
                raise UserError(
                    f"{rows.where(number)}: {reason}; fix: mend it, or leave bad ones out with --skip-bad"
                ) from error
            skipped += 1
            first = first or f"{rows.where(number)}: {reason}"
    if not battles:
        left_out = (
            f" ({skipped} bad, first {first})" if skipped else f" ({named} not anonymous)" if named else ""
        )
        raise UserError(f"expected battles, found none in {rows.path}{left_out}; fix: name another file")
    return Reading(battles, features, skipped, first, named)


def need_columns(rows: Rows, wanted: Iterable[str]) -> None:
    """Raise UserError, with the columns that are there, if one is missing."""
    for name in wanted:
        if name not in rows.columns:
            there = ", ".join(rows.columns) or "none"
            raise UserError(
                f"expected column {name!r}, found {there}, in {rows.path} "
                f"({nearest(name, rows.columns)}); fix: --column FIELD=COLUMN where names differ"
            )


def sides(row: Row, name: str) -> tuple[float, float]:
    """Return a feature's values for both sides: columns NAME_a and NAME_b, or NAME with {} for the side.

    LMArena keeps them in ``conv_metadata``, and counts by kind in an object: their sum is taken.
    """
    holder = row.get("conv_metadata", row)
    pattern = name if "{}" in name else f"{name}_{{}}"
    found = []
    for side in ("a", "b"):
        value = holder[pattern.format(side)] if pattern.format(side) in holder else row[pattern.format(side)]
        if isinstance(value, dict):
            value = sum(number_of(each, pattern.format(side)) for each in value.values() if each is not None)
        found.append(number_of(value, pattern.format(side)))
    return found[0], found[1]
