"""Rapidata's preference sets: two images of a prompt, and what share of the annotators took which.

There are three ways to make battles of a row, which give different ratings, so one has to be named. The
shares are weighted by the annotators' trust scores and add up to 1. What the inner fields of
``detailed_results`` are called was not seen in a set itself (``votedFor`` is from reports), so a vote that
names neither side is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.reading import Converter
from benchmarks.arena.readers.rows import Row, Rows
from benchmarks.arena.readers.values import name_of, number_of, text_or_none
from benchmarks.json_lines import short
from lumina_eval.errors import UserError

Conversion = Literal["majority", "share", "per-vote"]
CRITERIA: Final = ("preference", "coherence", "alignment")
#: Columns of the models, in the newer sets and in those before.
MODELS: Final = (("model1", "model2"), ("model_a", "model_b"))
CHOSEN: Final = ("votedFor", "voted_for", "winner", "choice")


def is_rapidata(columns: tuple[str, ...]) -> bool:
    """Tell a Rapidata set by its columns."""
    return any(name.startswith("weighted_results_image1") for name in columns) or "votes_image1" in columns


def converter(rows: Rows, conversion: Conversion | None, criterion: str) -> Converter:
    """Return the converter by name: ``majority`` is a battle that the larger share wins, ``share`` a battle
    whose outcome is the share, ``per-vote`` a battle for each annotator.

    Raises UserError if no conversion is named, or the set has no votes by the criterion.
    """
    if conversion is None:
        raise UserError(
            f"expected --conversion ({', '.join(get_args(Conversion))}), which give different ratings, "
            f"found none for the Rapidata set {rows.path}; fix: name one"
        )
    if "votes_image1" in rows.columns:
        first, second, detail = "votes_image1", "votes_image2", "detailed_results"
    else:
        first, second = (f"weighted_results_image{i}_{criterion}" for i in (1, 2))
        detail = f"detailed_results_{criterion}"
        if first not in rows.columns:
            there = [name for name in CRITERIA if f"weighted_results_image1_{name}" in rows.columns]
            raise UserError(
                f"expected votes by {criterion!r}, found {', '.join(there) or 'none'}, in {rows.path}; "
                "fix: --criterion"
            )
    models = next((pair for pair in MODELS if pair[0] in rows.columns), MODELS[0])

    def convert(row: Row) -> Iterator[Battle]:
        a, b = (name_of(row[name], name) for name in models)
        for outcome in _outcomes(row, conversion, (first, second), detail, (a, b)):
            yield Battle(
                model_a=a,
                model_b=b,
                outcome=outcome,
                prompt=text_or_none(row.get("prompt")),
                category=text_or_none(row.get("category")),
                source=f"rapidata:{criterion}",
            )

    return convert


def _outcomes(
    row: Row, conversion: Conversion, shares: tuple[str, str], detail: str, models: tuple[str, str]
) -> list[float]:
    won, lost = (number_of(row[name], name) for name in shares)
    if won < 0 or lost < 0 or won + lost == 0:
        raise ValueError(f"expected shares of votes, found {won} and {lost}")
    if conversion == "majority":
        return [0.5 if won == lost else float(won > lost)]
    if conversion == "share":
        return [won / (won + lost)]
    if row.get(detail) is None and shares[0] == "votes_image1":
        return [1.0] * int(won) + [0.0] * int(lost)
    votes = row[detail]
    try:
        votes = json.loads(votes) if isinstance(votes, str) else votes
    except ValueError as error:
        raise ValueError(f"broken JSON in {detail}: {error}") from error
    if not isinstance(votes, list):
        raise ValueError(f"expected a list of votes in {detail}, found {short(votes)}")
    sides = {name: 1.0 - side for side in (0, 1) for name in _names(row, side, models)}
    return [_vote(vote, sides, detail) for vote in votes]


def _names(row: Row, side: int, models: tuple[str, str]) -> list[str]:
    """Return what a vote may call a side: its model, its image's column, number or file."""
    file = row.get(f"image{side + 1}_path")
    names = [models[side], f"image{side + 1}", f"model{side + 1}", str(side + 1)]
    return [*names, file, file.rsplit("/", 1)[-1]] if isinstance(file, str) else names


def _vote(vote: Any, sides: dict[str, float], detail: str) -> float:
    key = next((name for name in CHOSEN if isinstance(vote, dict) and name in vote), None)
    if key is None:
        raise ValueError(f"expected a vote with {' or '.join(CHOSEN)} in {detail}, found {short(vote)}")
    if str(vote[key]) not in sides:
        raise ValueError(f"expected a vote for {' or '.join(sides)} in {detail}, found {short(vote[key])}")
    return sides[str(vote[key])]
