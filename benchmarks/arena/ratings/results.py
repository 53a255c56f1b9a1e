"""What can be asked of a rating, and what it answers."""

from __future__ import annotations

import dataclasses
from typing import Literal

from benchmarks.arena.ratings.aggregate import Floats
from benchmarks.arena.ratings.elo import K
from benchmarks.arena.ratings.intervals import Cluster

Method = Literal["bradley-terry", "elo"]
Tool = Literal["fastchat", "evalica", "arena-rank"]


@dataclasses.dataclass(frozen=True)
class Anchor:
    """What fixes the scale: the rating of a model, or the mean of the rated ones (``model`` None)."""

    value: float = 1000.0
    model: str | None = None


@dataclasses.dataclass(frozen=True)
class Choices:
    """How to rate.

    ``anchor`` None leaves the scale as the method has it: mean 1000, except Elo and FastChat. ``rounds`` 0
    takes the sandwich, and for Elo no interval. ``seed`` None is the method's own: 0, for Elo 42.
    ``clusters`` None takes those of voter and prompt that the votes have.
    """

    method: Method = "bradley-terry"
    tool: Tool | None = None
    k: float = K
    anchor: Anchor | None = None
    rounds: int = 0
    seed: int | None = None
    clusters: tuple[Cluster, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Rating:
    """A model's rating; None is a number that does not exist. ``rank_low`` is the best rank it may have."""

    model: str
    rating: float | None
    ci_low: float | None
    ci_high: float | None
    rank_low: int | None
    rank_high: int | None
    battles: int


@dataclasses.dataclass(frozen=True)
class Warn:
    """Something that a reader of the ratings must know."""

    code: str
    models: tuple[str, ...]
    message: str


@dataclasses.dataclass(frozen=True, eq=False)
class Rated:
    """Ratings, best first, those without one last, and tables between those that have one, in that order.

    ``win`` (r, r) is the chance that the row's model beats the column's, a tie being half a win; ``p`` (r, r)
    the p that both are equally strong, adjusted for all pairs, or None where there are no intervals.
    ``interval`` says how intervals were made.
    """

    ratings: tuple[Rating, ...]
    warnings: tuple[Warn, ...]
    win: Floats
    p: Floats | None
    interval: str

    @property
    def rated(self) -> tuple[str, ...]:
        """The models that have a rating, best first."""
        return tuple(row.model for row in self.ratings if row.rating is not None)
