"""Scores of images brought together prompt by prompt: all that means and their variances need."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumina_eval.records import Score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """Sufficient statistics per prompt. P prompts; leading axes ... are simulations that share one design."""

    total: Floats  # (..., P) sum of the scores of a prompt's images
    spread: Floats  # (..., P) sum of their squared deviations from the prompt's mean
    count: Floats  # (P,) number of images, at least 1
    stratum: NDArray[np.intp]  # (P,) index of the task, 0 .. H-1, each present

    @classmethod
    def of_array(cls, values: ArrayLike, stratum: ArrayLike) -> Clusters:
        """From `values` (..., P, K), K images for each of P prompts, and the task index (P,) of a prompt."""
        scores = np.asarray(values, dtype=float)
        mean = scores.mean(axis=-1, keepdims=True)
        count = np.full(scores.shape[-2], float(scores.shape[-1]))
        spread = ((scores - mean) ** 2).sum(axis=-1)
        return cls(scores.sum(axis=-1), spread, count, np.asarray(stratum, dtype=np.intp))

    @classmethod
    def of_scores(cls, scores: Sequence[Score]) -> Clusters:
        """From records, in an order of its own: the result does not depend on the order of `scores`.

        Raises ValueError for no scores, a score that is not finite, or the same image twice.
        """
        if not scores:
            raise ValueError("no scores: a mean needs at least one")
        ordered = sorted(scores, key=lambda score: (score.task, score.item_id, score.index))
        images = [(score.task, score.item_id, score.index) for score in ordered]
        for before, after in itertools.pairwise(images):
            if before == after:
                raise ValueError(
                    f"image {after[2]} of item {after[1]!r} in task {after[0]!r} is scored twice"
                )
        values = np.array([score.value for score in ordered], dtype=float)
        if not np.isfinite(values).all():
            bad = images[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ValueError(f"score of image {bad[2]} of item {bad[1]!r} in task {bad[0]!r} is not finite")
        prompts = list(dict.fromkeys(image[:2] for image in images))
        tasks = {task: h for h, task in enumerate(dict.fromkeys(task for task, _ in prompts))}
        position = {prompt: i for i, prompt in enumerate(prompts)}
        owner = np.array([position[image[:2]] for image in images])
        count = np.bincount(owner).astype(float)
        total = np.bincount(owner, weights=values).astype(float)
        spread = np.bincount(owner, weights=(values - (total / count)[owner]) ** 2).astype(float)
        return cls(total, spread, count, np.array([tasks[task] for task, _ in prompts], dtype=np.intp))
