"""A variance between prompts, helped out where it hangs on few of them.

Near an end few prompts miss anything, and all of the variance comes from those. One that lost a single
question of many makes the score look far surer than the number of prompts allows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lumina_eval.statistics.clusters import Floats


def steadied(variance: ArrayLike, influence: Floats, most: ArrayLike) -> Floats:
    """Mix in the variance `most` with the weight of one observation, elementwise over the leading axes (...).

    `influence` (..., P) is what each prompt adds to the score beyond its expectation, and `most` the variance
    if everything in a prompt stood or fell together. The variance itself weighs as many observations as it
    rests on, 2 V^2 over the variance of V from the fourth moment, at most P - 1: prompts enough that miss
    something leave it as it is. A variance of zero, which says nothing, and an unknown one stay as they are.
    """
    v, prompts = np.asarray(variance, dtype=float), influence.shape[-1]
    second, fourth = (influence**2).sum(axis=-1), (influence**4).sum(axis=-1)
    doubt = fourth - second**2 / prompts
    sure = doubt <= 1e-12 * fourth  # all prompts add the same, but for rounding
    free = np.where(sure, prompts - 1.0, 2 * second**2 / np.where(sure, 1.0, doubt))
    free = np.clip(free, 1.0, max(prompts - 1.0, 1.0))
    mixed = (free * v + np.maximum(most, v)) / (free + 1)
    return np.where(v > 1e-24, mixed, v)
