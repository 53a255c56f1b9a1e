"""The leaderboard as it is shown: ratings from all votes so far, made ready for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.arena.battles import Battle


@dataclass(frozen=True, slots=True)
class Bar:
    """Ends and middle of an interval, in percent of the drawing's width."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One model; what cannot be known is a dash."""

    ranks: str
    model: str
    rating: str
    interval: str
    bar: Bar | None
    votes: int


@dataclass(frozen=True, slots=True)
class Board:
    """The whole page; ``mean`` is the place of the mean rating in percent of the drawing's width."""

    rows: list[Row]
    votes: int
    voters: int
    clusters: str
    mean: float | None
    warnings: list[str]


def leaderboard(battles: Sequence[Battle], models: Sequence[str]) -> Board:
    return Board(
        [Row("-", m, "-", "-", None, 0) for m in models],
        len(battles),
        len({b.voter for b in battles}),
        "",
        None,
        [],
    )
