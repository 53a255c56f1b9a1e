"""How surely so many prompts show two equal samplers to be equivalent: the power of two one-sided t tests.

Equivalent is a difference whose interval lies within the margin on both sides, which is the two one-sided
tests of Schuirmann (J. Pharmacokinet. Biopharm. 15, 1987), each at half of what the level leaves. Both must
pass on the same prompts, so it takes more of them than to show "not worse", which is one of the two.
"""

from __future__ import annotations

import bisect
import math

import numpy as np
import scipy

#: Nodes of the integral over the variance that is seen; with 200 the chance is right to a few millionths.
_NODES = 200


def power_of_equivalence(margin: float, error: float, df: float, level: float = 0.95) -> float:
    """Chance, 0 to 1, that the interval at ``level`` lies within ``margin`` if there is no true difference.

    ``error`` is the true standard error of the difference, above 0; ``df`` the degrees of freedom of the one
    that is seen. With W what is seen over what is true, W^2 chi-squared over df, the difference has room for
    margin - q W error on both sides; the chance of that is averaged over W.
    """
    quantile, room = float(scipy.stats.t.ppf((1 + level) / 2, df)), margin / error
    most = float(scipy.stats.chi2.cdf(df * (room / quantile) ** 2, df))  # above it the interval is too wide
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    seen = np.sqrt(scipy.stats.chi2.ppf(most * (nodes + 1) / 2, df) / df)
    within = 2 * scipy.stats.norm.cdf(np.maximum(room - quantile * seen, 0)) - 1
    return float(most / 2 * (weights @ within))


def prompts_for_equivalence(
    margin: float, variance: float, power: float, df_ratio: float = 1.0, level: float = 0.95
) -> int:
    """Return the smallest number of prompts, at least 2, that shows two equals equivalent with ``power``.

    ``variance``, above 0, over n prompts is the squared standard error, ``df_ratio`` times n - 1 its degrees
    of freedom (1 for a single task).
    """

    def reached(prompts: int) -> float:
        df = max((prompts - 1) * df_ratio, 1.0)
        return power_of_equivalence(margin, math.sqrt(variance / prompts), df, level)

    high = 2
    while reached(high) < power:
        high *= 2
    return bisect.bisect_left(range(high), power, lo=max(2, high // 2), key=reached)
