"""The leaderboard as it is shown: ratings from all votes so far, made ready for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings.aggregate import columns
from benchmarks.arena.ratings.estimate import rate
from benchmarks.arena.ratings.results import Choices, Rating

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Bar:
    """Ends and middle of an interval, in percent of the drawing's width."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One model, in words; what cannot be known is a dash."""

    ranks: str
    model: str
    rating: str
    interval: str
    bar: Bar | None
    votes: int


@dataclass(frozen=True, slots=True)
class Board:
    """All that the page shows; ``how`` says how the intervals were made."""

    rows: list[Row]
    votes: int
    voters: int
    how: str
    warnings: list[str]


def leaderboard(battles: Sequence[Battle], models: Sequence[str]) -> Board:
    """Rate ``models`` by Bradley and Terry from ``battles``; those that nobody voted on come last."""
    rated = rate(columns(battles), Choices()) if battles else None
    ratings = list(rated.ratings) if rated else []
    voted = {row.model for row in ratings}
    ratings += [Rating(name, None, None, None, None, None, 0) for name in models if name not in voted]
    ends = [end for row in ratings for end in (row.rating, row.ci_low, row.ci_high) if end is not None]
    scale = (min(ends), max(ends)) if ends else (0.0, 0.0)
    return Board(
        rows=[_row(row, scale) for row in ratings],
        votes=len(battles),
        voters=len({battle.voter for battle in battles}),
        how=rated.interval if rated else "none",
        warnings=[one.message for one in rated.warnings] if rated else [],
    )


def _row(row: Rating, scale: tuple[float, float]) -> Row:
    return Row(
        ranks=_range(row.rank_low, row.rank_high, "–"),
        model=row.model,
        rating=UNKNOWN if row.rating is None else f"{row.rating:.0f}",
        interval=_range(row.ci_low, row.ci_high, " – "),
        bar=_bar(row, scale),
        votes=row.battles,
    )


def _range(low: float | None, high: float | None, between: str) -> str:
    if low is None or high is None:
        return UNKNOWN
    return f"{low:.0f}" if low == high else f"{low:.0f}{between}{high:.0f}"


def _bar(row: Rating, scale: tuple[float, float]) -> Bar | None:
    low, high = scale
    if row.rating is None or row.ci_low is None or row.ci_high is None or high <= low:
        return None
    places = [round(100 * (end - low) / (high - low), 2) for end in (row.ci_low, row.rating, row.ci_high)]
    return Bar(*places)
