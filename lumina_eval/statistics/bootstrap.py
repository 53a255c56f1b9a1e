"""The percentile bootstrap of whole prompts: what others print, kept as a check on our intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumina_eval.records import Interval, Score
from lumina_eval.statistics.clusters import Clusters, Floats
from lumina_eval.statistics.means import Weights, shares


def bootstrap_prompts(
    scores: Sequence[Score],
    level: float = 0.95,
    weights: Weights = "equal",
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of whole prompts within task: a check on `ci_prompts`, not a substitute.

    It covers too seldom at small n and near the ends, and is [1, 1] for a perfect score (docs/statistics.md).
    """
    clusters = Clusters.of_scores(scores)
    if weights == "prompts":
        one = np.ones_like(clusters.count)
        clusters = Clusters(clusters.total / clusters.count, 0 * one, one, clusters.stratum)
    times = resampled(clusters.stratum, resamples, np.random.default_rng(seed))
    values = np.zeros(resamples)
    for h, weight in enumerate(shares(clusters, weights)):
        inside = clusters.stratum == h
        values += (
            weight * (times[:, inside] @ clusters.total[inside]) / (times[:, inside] @ clusters.count[inside])
        )
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(stratum: np.typing.NDArray[np.intp], resamples: int, generator: np.random.Generator) -> Floats:
    """How often each prompt (P,) is drawn in each resample, within its task: (R, P)."""
    times = np.zeros((resamples, len(stratum)))
    for h in range(int(stratum.max()) + 1):
        inside = np.flatnonzero(stratum == h)
        times[:, inside] = generator.multinomial(
            len(inside), np.full(len(inside), 1 / len(inside)), size=resamples
        )
    return times
