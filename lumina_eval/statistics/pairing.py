"""Two runs on the same prompts, brought together prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError
from lumina_eval.records import Score
from lumina_eval.statistics.means import Clusters, Floats, Weights


@dataclass(frozen=True)
class Paired:
    """P prompts that both runs answered, in a fixed order, with the mean score of each.

    Where images are missing, a prompt's value is linearised: the task's mean plus the prompt's distance from
    it times its number of images over the task's average. The mean of the values over a task is then the
    task's mean over images, as in the run's own metrics.
    """

    baseline: Floats  # (P,)
    candidate: Floats  # (P,)
    stratum: NDArray[np.intp]  # (P,)
    tasks: list[str]  # (H,)
    images: tuple[float, float]

    @property
    def difference(self) -> Floats:
        """Candidate minus baseline (P,)."""
        return self.candidate - self.baseline

    def share(self, weights: Weights) -> Floats:
        """Weight of each task (H,); they add up to 1."""
        prompts = np.bincount(self.stratum).astype(float)
        return prompts / prompts.sum() if weights == "images" else np.full(len(prompts), 1 / len(prompts))

    def of_task(self, task: int) -> Paired:
        """The prompts of one task alone."""
        inside = self.stratum == task
        zero = np.zeros(int(inside.sum()), dtype=np.intp)
        return Paired(self.baseline[inside], self.candidate[inside], zero, [self.tasks[task]], self.images)


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
    tasks = sorted({task for task, _ in left})
    images = (len(baseline) / len(left), len(candidate) / len(left))
    return Paired(_values(before), _values(after), before.stratum, tasks, images)


def _values(clusters: Clusters) -> Floats:
    """One value for each prompt (P,); see `Paired`."""
    stratum, count = clusters.stratum, clusters.count
    images = np.bincount(stratum, weights=count)
    task_mean = (np.bincount(stratum, weights=clusters.total) / images)[stratum]
    relative = count / (images / np.bincount(stratum))[stratum]
    mean = clusters.total / count
    return np.where(relative == 1, mean, task_mean + relative * (mean - task_mean))


def _few(prompts: set[tuple[str, str]]) -> str:
    """The first three by name."""
    shown = ", ".join(f"{task}/{item}" for task, item in sorted(prompts)[:3])
    return shown + (", …" if len(prompts) > 3 else "")
