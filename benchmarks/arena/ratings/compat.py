"""The numbers of other tools: FastChat, evalica and arena-rank, each to where its own optimiser stops.

Facts of lm-sys/FastChat rating_systems.py, evalica 0.4.2 and arena-rank 0.1.1; the code is ours. All three
differ from the exact optimum of :mod:`benchmarks.arena.ratings.bradley_terry` in how near they come to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from benchmarks.arena.ratings.aggregate import Floats, Votes, sums
from benchmarks.arena.ratings.bradley_terry import POINTS, laplacian

#: FastChat shifts all ratings so that this model has that rating, if it is there (``scale_and_offset``).
FASTCHAT_ANCHOR: Final = ("mixtral-8x7b-instruct-v0.1", 1114.0)
#: evalica's defaults of ``bradley_terry``.
EVALICA_TOLERANCE: Final = 1e-6
EVALICA_LIMIT: Final = 100
#: arena-rank's ``hessian_reg``, times the number of battles.
ARENA_RANK_RIDGE: Final = 1e-5


class Fastchat:
    """FastChat's Bradley-Terry: L-BFGS-B from 0 on distinct (model_a, model_b, outcome) with their counts.

    It stops at scipy's relative change of 2.2e-9, up to some hundredths of a point from the optimum; a fixed
    start keeps the mean of each connected part at 1000. Weights are not known to it.
    """

    def __init__(self, votes: Votes) -> None:
        m = len(votes.models)
        level = np.where(votes.outcome > 0.5, 2, np.where(votes.outcome < 0.5, 0, 1))
        key, counts = np.unique((votes.a * m + votes.b) * 3 + level, return_counts=True)
        self._models = votes.models
        self._a, self._b, self._outcome = key // 3 // m, key // 3 % m, (key % 3) / 2.0
        self._counts = counts.astype(np.float64)

    def ratings(self) -> Floats:
        """Return the (m,) ratings of ``compute_bt``."""
        return fastchat_scale(self._minimise(self._counts), self._models)

    def bootstrap(self, rounds: int, seed: int = 0) -> Floats:
        """Return the (rounds, m) ratings of ``compute_bootstrap_bt``, whose own seed is 0."""
        total = self._counts.sum()
        drawn = np.random.default_rng(seed).multinomial(int(total), self._counts / total, size=rounds)
        return fastchat_scale(np.stack([self._minimise(each / total) for each in drawn]), self._models)

    def _minimise(self, weight: Floats) -> Floats:
        slope, m = math.log(10.0), len(self._models)

        def loss(rating: Floats) -> tuple[float, Floats]:
            logit = slope * (rating[self._a] - rating[self._b])
            likelihood = self._outcome * log_expit(logit) + (1.0 - self._outcome) * log_expit(-logit)
            pull = slope * weight * (expit(logit) - self._outcome)
            return -float(weight @ likelihood), sums(self._a, pull, m) - sums(self._b, pull, m)

        done = minimize(
            loss, np.zeros(m), jac=True, method="L-BFGS-B", options={"maxiter": 100, "gtol": 1e-6}
        )
        return np.asarray(done.x)


def fastchat_scale(rating: Floats, models: Sequence[str]) -> Floats:
    """Return (..., m) ratings of ``scale_and_offset`` from FastChat's unit, a factor of ten."""
    scaled = 400.0 * rating + 1000.0
    name, value = FASTCHAT_ANCHOR
    if name in models:
        scaled = scaled + value - scaled[..., [models.index(name)]]
    return np.asarray(scaled)


def evalica_strengths(
    wins: Floats, tolerance: float = EVALICA_TOLERANCE, limit: int = EVALICA_LIMIT
) -> Floats:
    """Return evalica's (m,) multiplicative strengths, of geometric mean 1, from (m, m) wins.

    Newman's iteration (JMLR 24, 2023, equation 27), a model at a time, normalised after each sweep; it ends
    when a sweep moves the vector by less than ``tolerance``.
    """
    m = len(wins)
    strength = np.ones(m)
    for _ in range(limit):
        before = strength.copy()
        for i in range(m):
            both = strength[i] + strength
            with np.errstate(divide="ignore", invalid="ignore"):
                strength[i] = (wins[i] @ (strength / both)) / (wins[:, i] @ (1.0 / both))
        with np.errstate(all="ignore"):
            strength = strength / np.exp(np.log(strength).mean())
        strength = np.nan_to_num(strength, nan=tolerance)
        if np.linalg.norm(strength - before) < tolerance:
            break
    return strength


def evalica_ratings(wins: Floats, tolerance: float = EVALICA_TOLERANCE, limit: int = EVALICA_LIMIT) -> Floats:
    """Return evalica's strengths as (m,) ratings: 400 log10, mean 1000."""
    points = 400.0 * np.log10(evalica_strengths(wins, tolerance, limit))
    return np.asarray(points - points.mean() + 1000.0)


def arena_rank_error(votes: Votes, theta: Floats) -> Floats:
    """Return arena-rank's (m,) standard errors in points: votes by themselves, a ridge on the information."""
    m = len(theta)
    chance = expit(theta[votes.a] - theta[votes.b])
    curved = votes.summed(votes.weight * chance * (1.0 - chance))
    spread = votes.summed((votes.weight * (votes.outcome - chance)) ** 2)
    ridge = ARENA_RANK_RIDGE * (len(votes) if (votes.weight == 1.0).all() else 1.0)
    inverse = np.linalg.inv(laplacian(curved + curved.T) + ridge * np.eye(m))
    return np.asarray(POINTS * np.sqrt(np.diag(inverse @ laplacian(spread + spread.T) @ inverse)))
