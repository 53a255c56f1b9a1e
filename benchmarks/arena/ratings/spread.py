"""A point and its uncertainty on one scale: from a covariance, or from the rounds of a bootstrap."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from benchmarks.arena.ratings import ranks
from benchmarks.arena.ratings.aggregate import Floats
from benchmarks.arena.ratings.intervals import LEVEL

#: The tails of an interval.
LOW: Final = (1.0 - LEVEL) / 2.0
HIGH: Final = (1.0 + LEVEL) / 2.0
#: A standard error, in points, that is none.
NOTHING: Final = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Ratings of r models in points, (r,) each. ``error`` (r, r) is that of the differences; None is unknown.

    A bound may be infinite. Ranks are 0 where there is no interval.
    """

    point: Floats
    low: Floats
    high: Floats
    best: ranks.Whole
    worst: ranks.Whole
    error: Floats | None
    interval: str


class Scale:
    """What shifts ratings to where they are shown: a model has a value, the mean has, or nothing is done."""

    def __init__(self, point: Floats, value: float | None, model: int | None) -> None:
        self._mean, self._value, self.model = float(point.mean()), value, model

    def __call__(self, ratings: Floats) -> Floats:
        """Shift (..., r) ratings; with a model each row by itself, else all as the point."""
        if self._value is None:
            return ratings
        if self.model is None:
            return np.asarray(ratings - self._mean + self._value)
        return np.asarray(ratings - ratings[..., [self.model]] + self._value)


def bare(point: Floats, scale: Scale) -> Found:
    """Return ratings without intervals."""
    none, zero = np.full(len(point), np.nan), np.zeros(len(point), dtype=np.int64)
    return Found(scale(point), none, none, zero, zero, None, "none")


def from_covariance(
    point: Floats, covariance: Floats, quantile: float, scale: Scale, interval: str, own: Floats | None = None
) -> Found:
    """Return intervals of ``quantile`` standard errors, those of the difference to the anchor model if any.

    ``own`` (r,) are the standard errors where they are not those of the covariance. Votes that are all alike,
    such as nothing but ties, show no spread: that is no interval, not one of width 0.
    """
    error = ranks.difference_error(covariance)
    error = np.where(error > NOTHING, error, np.inf)
    np.fill_diagonal(error, 0.0)
    best, worst = ranks.ranks_by_difference(point, error, quantile)
    if scale.model is not None:
        own = error[scale.model]
    elif own is None:
        own = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    own = np.where(own > NOTHING, own, np.nan)
    if scale.model is not None:
        own[scale.model] = 0.0
    shown = scale(point)
    return Found(shown, shown - quantile * own, shown + quantile * own, best, worst, error, interval)


def from_rounds(
    point: Floats, rounds: Floats, scale: Scale, interval: str, by_overlap: bool = False
) -> Found:
    """Return percentile intervals of (k, r) rounds, in which a rating may be infinite, or NaN for unknown.

    A rank range counts a model as better that is so in 97.5 % of the rounds, or, ``by_overlap``, one whose
    interval lies above.
    """
    with np.errstate(invalid="ignore"):
        moved = scale(rounds)
        low = _quantile(np.where(np.isnan(moved), -np.inf, moved), LOW)
        high = _quantile(np.where(np.isnan(moved), np.inf, moved), HIGH)
        ahead = (rounds[:, :, None] > rounds[:, None, :]).mean(axis=0) >= HIGH
    if by_overlap:
        best, worst = ranks.ranks_by_overlap(low, high)
    else:
        with np.errstate(invalid="ignore"):
            flat = ~(high - low > NOTHING) & (np.arange(len(point)) != scale.model)
        low, high = np.where(flat, np.nan, low), np.where(flat, np.nan, high)
        best, worst = 1 + ahead.sum(axis=0), len(point) - ahead.sum(axis=1)
    finite = rounds[np.isfinite(rounds).all(axis=1)]
    error = ranks.difference_error(np.atleast_2d(np.cov(finite.T))) if len(finite) > 1 else None
    return Found(scale(point), low, high, best, worst, error, interval)


def _quantile(values: Floats, tail: float) -> Floats:
    """Return quantiles over rounds; between an infinite value and a finite one lies the infinite one."""
    linear = np.quantile(values, tail, axis=0)
    edge = np.quantile(values, tail, axis=0, method="lower" if tail < 0.5 else "higher")
    return np.asarray(np.where(np.isfinite(linear), linear, edge))
