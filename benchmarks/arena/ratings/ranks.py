"""Ranks and pairs: which models the votes tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.arena.ratings.aggregate import Floats

Whole = npt.NDArray[np.int64]


def ranks_by_difference(rating: Floats, spread: Floats, quantile: float) -> tuple[Whole, Whole]:
    """Return the best and the worst rank (m,) of each model, from 1.

    The best is one more than the number of models that are better beyond ``quantile`` standard errors
    ``spread`` (m, m) of the difference, the worst leaves out those that are worse beyond them.
    """
    ahead = rating[:, None] - rating[None, :] > quantile * spread
    np.fill_diagonal(ahead, False)
    return 1 + ahead.sum(axis=0), len(rating) - ahead.sum(axis=1)


def ranks_by_overlap(low: Floats, high: Floats) -> tuple[Whole, Whole]:
    """Return the best and the worst rank (m,) where a model is better if its interval lies above the other.

    The best is FastChat's ``final_ranking``. More cautious than :func:`ranks_by_difference`, whose two
    models may have intervals that overlap.
    """
    ahead = low[:, None] > high[None, :]
    return 1 + ahead.sum(axis=0), len(low) - ahead.sum(axis=1)


def difference_error(covariance: Floats) -> Floats:
    """Return the (m, m) standard errors of the differences between models, from their (m, m) covariance."""
    own = np.diag(covariance)
    return np.asarray(np.sqrt(np.maximum(own[:, None] + own[None, :] - 2.0 * covariance, 0.0)))


def significance(rating: Floats, spread: Floats) -> Floats:
    """Return the (m, m) two-sided p of equal strength for every pair, adjusted after Holm for all of them.

    The diagonal is 1.
    """
    m = len(rating)
    upper = np.triu_indices(m, 1)
    error = np.maximum(spread[upper], 1e-300)
    raw = 2.0 * stats.norm.sf(np.abs(rating[:, None] - rating[None, :])[upper] / error)
    order = np.argsort(raw, kind="stable")
    held = np.minimum(np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)), 1.0)
    out = np.ones((m, m))
    adjusted = np.empty(len(raw))
    adjusted[order] = held
    out[upper] = adjusted
    return np.minimum(out, out.T)
