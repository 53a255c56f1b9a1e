"""A battle: two models, one prompt, one vote. Every reader gives it, every rating takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Battle:
    """One vote on a pair of images, or the share of several votes.

    ``outcome`` is 1 if ``model_a`` won, 0 if ``model_b`` did and 0.5 for a tie; a share lies between.
    ``weight`` is how many such votes this one stands for. ``time`` is in seconds since 1970. ``voter`` and
    ``prompt`` name the clusters of the intervals; None is a voter, or a prompt, of its own.

    Raises ValueError if the models are one, a name is empty, or a number is outside its range.
    """

    model_a: str
    model_b: str
    outcome: float
    weight: float = 1.0
    prompt: str | None = None
    voter: str | None = None
    time: float | None = None
    category: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.model_a or not self.model_b:
            raise ValueError("expected the names of two models, found an empty one")
        if self.model_a == self.model_b:
            raise ValueError(f"expected two models, found {self.model_a!r} against itself")
        if not 0 <= self.outcome <= 1:
            raise ValueError(f"expected an outcome from 0 to 1, found {self.outcome}")
        if not 0 < self.weight < math.inf:
            raise ValueError(f"expected a weight above 0, found {self.weight}")
        if self.time is not None and not math.isfinite(self.time):
            raise ValueError(f"expected a time in seconds, found {self.time}")
