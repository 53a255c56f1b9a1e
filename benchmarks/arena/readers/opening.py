"""A file of votes, opened by what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arena.readers import columns, fastchat, rapidata
from benchmarks.arena.readers.reading import Converter, Reading, collect, need_columns
from benchmarks.arena.readers.rows import Rows, read_rows
from benchmarks.arena.readers.votes import vote


@dataclass(frozen=True)
class HowToRead:
    """``columns`` are FIELD=COLUMN, ``controls`` features whose two sides are kept beside each battle."""

    columns: Sequence[str] = ()
    conversion: rapidata.Conversion | None = None
    criterion: str = "preference"
    controls: Sequence[str] = ()
    skip_bad: bool = False
    keep_named: bool = False


def read_battles(path: Path, how: HowToRead) -> Reading:
    """Read votes of FastChat, LMArena, GenAI-Arena, Rapidata, our own arena, or a table with named columns.

    Raises UserError for what cannot be read, with file and line.
    """
    rows = read_rows(path)
    controls = [name for each in how.controls for name in (fastchat.STYLE if each == "style" else (each,))]
    return collect(
        rows, _converter(rows, how), skip_bad=how.skip_bad, controls=controls, keep_named=how.keep_named
    )


def _converter(rows: Rows, how: HowToRead) -> Converter:
    there = rows.columns
    if how.columns:
        names = columns.column_names(how.columns)
        if "outcome" not in there and "winner" in there and names["outcome"] == "outcome":
            names["outcome"] = "winner"
        named = {part.partition("=")[2] for each in how.columns for part in each.split(",")}
        need_columns(rows, [*named, *(names[field] for field in columns.NEEDED)])
        return columns.by_columns(names)
    if rapidata.is_rapidata(there):
        return rapidata.converter(rows, how.conversion, how.criterion)
    if "type" in there and ("models" in there or "states" in there):
        return fastchat.logged_vote
    if not there:  # nothing but broken rows, of which the first will be named
        return vote
    need_columns(rows, ("model_a", "model_b"))
    if "winner" in there and "outcome" not in there:
        return fastchat.clean_battle
    need_columns(rows, ("outcome",))
    return vote
