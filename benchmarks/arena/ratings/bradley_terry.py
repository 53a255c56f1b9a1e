"""The Bradley-Terry model at its exact optimum: Newton on the table of wins.

P(i beats j) = 1 / (1 + exp(theta_j - theta_i)). The likelihood knows votes only by their sums over pairs, so
that a fit costs the same for a hundred votes and for a million. Strengths are natural logarithms here;
:func:`elo_scale` makes the 400-per-decade numbers of people of them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import expit

from benchmarks.arena.ratings.aggregate import Floats
from benchmarks.arena.ratings.graph import groups

#: Points of rating for a unit of natural logarithm: a factor of ten in the odds is 400 points.
POINTS: Final = 400.0 / math.log(10.0)
#: A step shorter than this, in units of theta, ends the iteration: 2e-9 points.
TOLERANCE: Final = 1e-11
#: A step below this that no longer shrinks has met the limit of floating point.
NOISE: Final = 1e-6
#: Far more steps than any finite optimum needs.
LIMIT: Final = 100


class NoFiniteOptimumError(ArithmeticError):
    """The likelihood has no finite optimum: the win graph is not strongly connected."""


def fit(wins: Floats, start: Floats | None = None) -> Floats:
    """Return the (m,) maximum-likelihood strengths, of mean 0, from an (m, m) table of wins.

    Raises :class:`NoFiniteOptimumError` if the win graph is not strongly connected.
    """
    if groups(wins).any():
        raise NoFiniteOptimumError("the win graph is not strongly connected")
    return np.asarray(fit_many(wins[None], start)[0])


def fit_many(wins: Floats, start: Floats | None = None) -> Floats:
    """Return (k, m) strengths of k tables of wins (k, m, m), all from ``start`` (m,), or from 0.

    Steps are Newton's, shortened to log(1 + d) / d of themselves, where d is the step's range: with that the
    logistic loss goes down at every step from anywhere, and near the optimum the step is a full one. The win
    graph of each table must be strongly connected; a row that does not settle is NaN.
    """
    k, m = wins.shape[:2]
    games = wins + wins.transpose(0, 2, 1)
    theta = np.zeros((k, m)) if start is None else np.broadcast_to(start - start.mean(), (k, m)).copy()
    active = np.arange(k)
    before = np.full(k, np.inf)
    for _ in range(LIMIT):
        if not len(active):
            break
        step = _newton_step(wins[active], games[active], theta[active])
        reach = np.ptp(step, axis=1)
        short = np.where(reach > 1e-8, np.log1p(reach) / np.maximum(reach, 1e-8), 1.0)
        theta[active] += short[:, None] * step
        settled = (reach < TOLERANCE) | ((reach < NOISE) & (reach > 0.5 * before[active]))
        before[active] = reach
        active = active[~settled]
    theta[active] = np.nan
    return np.asarray(theta - theta.mean(axis=1, keepdims=True))


def _newton_step(wins: Floats, games: Floats, theta: Floats) -> Floats:
    """Return the (k, m) Newton steps, of mean 0."""
    m = theta.shape[1]
    chance = expit(theta[:, :, None] - theta[:, None, :])
    gradient = (wins - games * chance).sum(axis=2)
    # The all-ones direction is free: a multiple of its projector makes the system regular, the mean 0.
    system = laplacian(games * chance * (1.0 - chance))
    scale = np.maximum(np.trace(system, axis1=1, axis2=2) / m, 1e-300)
    system += (scale / m)[:, None, None]
    return np.asarray(np.linalg.solve(system, gradient[:, :, None])[:, :, 0])


def laplacian(between: Floats) -> Floats:
    """Return the graph Laplacian (..., m, m) of symmetric weights between models."""
    whole = -between
    diagonal = np.arange(between.shape[-1])
    whole[..., diagonal, diagonal] += between.sum(axis=-1)
    return np.asarray(whole)


def elo_scale(theta: Floats, mean: float = 1000.0) -> Floats:
    """Return ratings of 400 points per factor of ten, their mean over the last axis as given."""
    return np.asarray(POINTS * (theta - theta.mean(axis=-1, keepdims=True)) + mean)


def win_probability(rating_a: Floats, rating_b: Floats) -> Floats:
    """Return the chance that a model beats another, from ratings; a tie counts as half a win."""
    return np.asarray(expit((rating_a - rating_b) / POINTS))
