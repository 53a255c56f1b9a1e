"""A variance helped out where it hangs on few prompts: task by task, then for the score as a whole.

Near an end few prompts miss anything, and all of the variance comes from those. A task of eight prompts that
all pass adds none, though eight more would not all pass; one that lost a single question of many makes the
score look far surer than the number of prompts allows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lumina_eval.statistics.clusters import Floats

LENT: Final = 1.5
"""Prompts that the tasks of a score lend to each of them.

Chosen by simulation of unbalanced tasks: with 1 the intervals are too sure where all tasks lie at 0.99, with
2 too careful where the smallest does and the others do not (ADR 4)."""


def by_task(parts: Floats, unit: Floats, prompts: Floats, mean: Floats) -> Floats:
    """Raise the variances of tasks in which prompts vary less than in the others.

    Each task gets `LENT` prompts more that vary as the prompts of all tasks do, but no more than prompts of
    its own mean could: p (1 - p) if each were all or nothing, with one success and one failure added to p,
    times the share of p (1 - p) that the prompts of all tasks reach.

    Args:
        parts: what each task adds to the variance of the score, (..., H).
        unit: what it would add if its prompts had variance 1, (H,).
        prompts: how many a task has, (H,).
        mean: of each task, 0 to 1, (..., H).

    Returns:
        The raised parts, (..., H); none is smaller than it was. Where no task varies nothing is raised, and
        what is unknown (NaN) stays so.
    """
    own = parts / unit
    total = prompts.sum()
    pooled = (own @ prompts / total)[..., None]
    most = ((mean * (1 - mean)) @ prompts / total)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = np.where(most > 0, np.minimum(pooled / most, 1.0), 1.0)
    cautious = (prompts * mean + 1) / (prompts + 2)
    lent = np.minimum(pooled, reached * cautious * (1 - cautious))
    raised: Floats = (prompts * own + LENT * np.maximum(lent, own)) / (prompts + LENT) * unit
    return raised


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
