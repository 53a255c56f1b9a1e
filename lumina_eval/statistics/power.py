"""What a comparison can see: power, smallest difference, and how many prompts it takes.

All by the noncentral t distribution of the two-sided t test at a level, which the sign-flip test and the
interval of a difference come close to (docs/statistics.md has the simulated power beside the predicted one).
To show with a margin m that two equal models are no worse than each other needs what it takes to see m.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import scipy

from lumina_eval.statistics.means import reach_of

POWER: Final = 0.8
_NORMAL: Final = 1e5
"""Degrees of freedom from which on t is taken as normal: the noncentral t is slow and inexact there."""


def power_of(effect: float, error: float, df: float, level: float = 0.95) -> float:
    """Chance that a two-sided t test at `level` sees a true difference `effect`, 0 to 1.

    `error` is the standard error of the difference, `df` its degrees of freedom.
    """
    quantile, shift = float(scipy.stats.t.ppf((1 + level) / 2, df)), abs(effect) / error
    if df > _NORMAL:
        return float(scipy.stats.norm.sf(quantile - shift) + scipy.stats.norm.cdf(-quantile - shift))
    upper, lower = scipy.stats.nct.sf(quantile, df, shift), scipy.stats.nct.cdf(-quantile, df, shift)
    return float(upper + np.nan_to_num(lower))  # the far tail is not a number where it is next to nothing


def minimum_detectable(error: float, df: float, level: float = 0.95, power: float = POWER) -> float:
    """Return the true difference that a two-sided test at `level` finds with probability `power`."""
    near = float(scipy.stats.t.ppf((1 + level) / 2, df) + scipy.stats.t.ppf(power, df))
    found = scipy.optimize.brentq(
        lambda shift: power_of(shift, 1.0, df, level) - power, 0.0, 3 * max(near, 1.0)
    )
    return float(found) * error


def in_words(difference: float, unit: str, digits: int) -> str:
    """Return a smallest difference for people, with ``digits`` after the point.

    One that is larger than any difference of two scores of this ``unit`` is of no use as a number: that
    nothing can be seen is said by the range alone.

    >>> in_words(0.25, "fraction", 3), in_words(4.084, "fraction", 3), in_words(4.084, "distance", 3)
    ('0.250', 'more than 1', '4.084')
    """
    reach = reach_of(unit)
    return f"{difference:.{digits}f}" if reach is None or difference <= reach else f"more than {reach:g}"


def prompts_needed(
    effect: float, variance: float, df_ratio: float = 1.0, level: float = 0.95, power: float = POWER
) -> int:
    """Return the smallest number of prompts, at least 2, at which a true difference `effect` has `power`.

    `variance` over n prompts is the squared standard error, `df_ratio` times n - 1 its degrees of freedom (1
    for a single task).
    """

    def enough(prompts: int) -> bool:
        error, df = math.sqrt(variance / prompts), max((prompts - 1) * df_ratio, 1.0)
        return power_of(effect, error, df, level) >= power

    if variance == 0 or enough(2):
        return 2
    high = 4
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
