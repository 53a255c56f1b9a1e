"""How exact a published number can be: its standard error from n.

A paper prints a score without an interval. For a mean of scores between 0 and 1 the number of images bounds
it: with the prompts fixed and the noise drawn again, the variance of the mean is at most p (1 − p) / n. No
score between 0 and 1 varies more than a right-or-wrong one of the same mean, and a mean over prompts of
different difficulty varies less than one over prompts that are all alike.

GenEval's overall is the unweighted mean of six tasks of 320 to 400 images each, so the sum of w²/n over its
images is 1 % above 1/2212 and its bound is 0.5 % too small: "about", in what the tables say.
"""

from __future__ import annotations

import math
from typing import Final

from lumina_eval.records import Metric

#: Half a 95 % interval in standard errors.
HALF_WIDTH: Final = 1.959964
#: What a score of 1 is in a unit; other units have no such bound.
WHOLE: Final = {"fraction": 1.0, "percent": 100.0}

ASSUMPTION: Final = (
    "Standard errors of published numbers are about upper bounds, √(p(1−p)/n): the prompts are fixed, images "
    "are independent, and n is that of the benchmark's own protocol, as the paper does not tell its own."
)


def published_error(value: float, n_images: int | None, unit: str) -> float | None:
    """Return the greatest standard error that a plain mean over ``n_images`` scores can have, in ``unit``.

    None where n or the bounds of the unit are not known.

    >>> round(published_error(0.73, 553 * 4, "fraction"), 4)
    0.0094
    """
    whole = WHOLE.get(unit)
    if whole is None or not n_images or not 0 <= value <= whole:
        return None
    share = value / whole
    return whole * math.sqrt(share * (1 - share) / n_images)


def measured_error(metric: Metric) -> float | None:
    """Return the standard error of a run's metric with the prompts fixed, in its unit.

    It is read off its interval ``ci_seeds``, as half its width in units of the normal distribution's.
    """
    if metric.ci_seeds is None:
        return None
    low, high = metric.ci_seeds
    return (high - low) / (2 * HALF_WIDTH)


def combined(*errors: float | None) -> float | None:
    """Return the standard error of a difference of independent numbers; None if one is not known."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if len(known) == len(errors) else None
