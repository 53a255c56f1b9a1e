"""Two runs on the same prompts, brought together prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError
from lumina_eval.records import Score
from lumina_eval.statistics.clusters import Clusters, Floats
from lumina_eval.statistics.means import Weights


@dataclass(frozen=True)
class Paired:
    """P prompts that both runs answered, in a fixed order: mean score and number of images of each run."""

    baseline: Floats  # (P,) mean over the images of a prompt
    candidate: Floats  # (P,)
    counts: tuple[Floats, Floats]  # (P,) images of the baseline, of the candidate
    stratum: NDArray[np.intp]  # (P,)
    tasks: list[str]  # (H,)
    items: list[str]  # (P,) ids

    @property
    def images(self) -> tuple[float, float]:
        """Images per prompt of each run, on average."""
        before, after = self.counts
        return float(before.mean()), float(after.mean())

    def values(self, weights: Weights) -> tuple[Floats, Floats]:
        """One value for each prompt (P,) of each run, so that their means weighted by task are the metrics.

        Where images are missing, a prompt's value is linearised: the mean plus the prompt's distance from it
        times its number of images over the average number; within the task for equal weights, over all
        prompts for weights by images. For weights by prompts it is the prompt's mean as it is.
        """
        stratum = np.zeros_like(self.stratum) if weights == "images" else self.stratum
        before, after = (
            mean if weights == "prompts" else _linearised(mean, count, stratum)
            for mean, count in zip((self.baseline, self.candidate), self.counts, strict=True)
        )
        return before, after

    def share(self, weights: Weights) -> Floats:
        """Weight of each task (H,); they add up to 1."""
        prompts = np.bincount(self.stratum).astype(float)
        return np.full(len(prompts), 1 / len(prompts)) if weights == "equal" else prompts / prompts.sum()

    def of_task(self, task: int) -> Paired:
        """The prompts of one task alone."""
        inside = np.flatnonzero(self.stratum == task)
        before, after = self.counts
        return Paired(
            self.baseline[inside],
            self.candidate[inside],
            (before[inside], after[inside]),
            np.zeros(len(inside), dtype=np.intp),
            [self.tasks[task]],
            [self.items[place] for place in inside],
        )


def pair_runs(baseline: Sequence[Score], candidate: Sequence[Score], names: tuple[str, str]) -> Paired:
    """Bring two runs together; UserError if they did not answer the same prompts."""
    left, right = ({(score.task, score.item_id) for score in scores} for scores in (baseline, candidate))
    if not left and not right:
        raise UserError("expected scores to compare, found none in either run; fix: judge the images first")
    if left != right:
        only = [
            f"{len(rest)} only in {name} ({_few(rest)})"
            for name, rest in zip(names, (left - right, right - left), strict=True)
            if rest
        ]
        raise UserError(
            f"expected the same prompts in both runs, found {'; '.join(only)}; {len(left & right)} in both; "
            "fix: compare runs of one protocol and one subset"
        )
    before, after = Clusters.of_scores(baseline), Clusters.of_scores(candidate)  # in the same order
    return Paired(
        before.total / before.count,
        after.total / after.count,
        (before.count, after.count),
        before.stratum,
        sorted({task for task, _ in left}),
        [item for _, item in sorted(left)],
    )


def _linearised(mean: Floats, count: Floats, stratum: NDArray[np.intp]) -> Floats:
    """One value for each prompt (P,) whose mean over a stratum is the mean over the stratum's images."""
    images = np.bincount(stratum, weights=count)
    over_images = (np.bincount(stratum, weights=mean * count) / images)[stratum]
    relative = count / (images / np.bincount(stratum))[stratum]
    return np.where(relative == 1, mean, over_images + relative * (mean - over_images))


def _few(prompts: set[tuple[str, str]]) -> str:
    """The first three by name."""
    shown = ", ".join(f"{task}/{item}" for task, item in sorted(prompts)[:3])
    return shown + (", …" if len(prompts) > 3 else "")
