"""The mean of paired differences with its interval: the one that is printed, and by which a gate goes.

Student's interval alone misses too often on one side where few prompts differ and most of them in one
direction: of 553 prompts with 1 % lost and none gained it ends above the truth in 9 % of runs, not in 2.5 %.
The reason is that an estimate that is luckily small comes with a variance that is small, too. So the limit is
where it would be if the variance changed with the difference as its skew says: L solves
(d - L)^2 = q^2 (V + g (d - L)), with g = |K3| / V on the side of the longer tail and 0 on the other, V and K3
the second and third cumulant of d. For counts this is Wilson's limit (E. B. Wilson 1927); with g of either
sign it is Johnson's modified t (N. J. Johnson, JASA 73, 1978) to first order. It is only ever widened:
narrowing the other side would undercover where few prompts differ at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from lumina_eval.statistics.clusters import Clusters, Floats
from lumina_eval.statistics.means import Weights, moments


@dataclass(frozen=True)
class MeanDifference:
    """Arrays over the leading axes (...) of the differences; NaN is unknown."""

    value: Floats
    low: Floats
    high: Floats
    variance: Floats
    df: Floats
    alike: NDArray[np.bool_]
    """All prompts of a task differ by the same, so that the variance says nothing."""


def mean_difference(
    differences: Floats,
    stratum: NDArray[np.intp],
    weights: Weights = "equal",
    reach: float | None = 1.0,
    level: float = 0.95,
) -> MeanDifference:
    """Stratified mean of `differences` (..., P) over tasks `stratum` (P,), with an interval at `level`.

    `reach` is the largest difference that scores can have, None if they have no bounds. Where all prompts
    differ alike, mostly by nothing, the interval is Wilson's for 0 of P, as for a perfect score; without
    bounds it is unknown, and otherwise Student's as it is.
    """
    one = np.ones(len(stratum))
    found = moments(Clusters(differences, np.zeros_like(differences), one, stratum), weights)
    variance, df = found.var_prompts, found.df_prompts
    alike = variance <= 1e-24 * np.mean(differences**2, axis=-1)
    q = scipy.stats.t.ppf((1 + level) / 2, df)
    if reach is None:
        half = np.where(alike, np.nan, q * np.sqrt(variance))
        return MeanDifference(found.value, found.value - half, found.value + half, variance, df, alike)
    skew = _third_cumulant(differences, stratum, weights) / np.where(alike, np.inf, variance)
    slack = np.where(np.isnan(variance), np.nan, reach * q**2 / (len(stratum) + q**2))
    below, above = (
        np.where(alike, slack, (q**2 * tail + np.sqrt(q**4 * tail**2 + 4 * q**2 * variance)) / 2)
        for tail in (np.maximum(-skew, 0), np.maximum(skew, 0))
    )
    low, high = np.maximum(found.value - below, -reach), np.minimum(found.value + above, reach)
    return MeanDifference(found.value, low, high, variance, df, alike)


def _third_cumulant(differences: Floats, stratum: NDArray[np.intp], weights: Weights) -> Floats:
    """Unbiased third cumulant (...) of the stratified mean; a task with fewer than 3 prompts adds none."""
    member = np.eye(int(stratum.max()) + 1)[stratum]  # (P, H)
    n = member.sum(axis=0)
    share = np.full(len(n), 1 / len(n)) if weights == "equal" else n / n.sum()
    deviation = differences - ((differences @ member) / n)[..., stratum]
    unbias = np.where(n > 2, n**2 / np.maximum((n - 1) * (n - 2), 1), 0.0)
    cumulant: Floats = ((deviation * (share / n)[stratum]) ** 3) @ unbias[stratum]
    return cumulant
