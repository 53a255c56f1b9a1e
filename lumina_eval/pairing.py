"""Two runs on the same prompts, brought together prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError
from lumina_eval.records import Score
from lumina_eval.statistics import Floats, Weights


@dataclass(frozen=True)
class Paired:
    """P prompts that both runs answered, with their mean scores, in a fixed order."""

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
    """Means per prompt, paired; UserError if the prompts are not the same."""
    found: list[dict[tuple[str, str], list[float]]] = [{}, {}]
    for means, scores in zip(found, (baseline, candidate), strict=True):
        for score in sorted(scores, key=lambda score: (score.task, score.item_id, score.index)):
            means.setdefault((score.task, score.item_id), []).append(score.value)
    left, right = found
    if not left and not right:
        raise UserError("expected scores to compare, found none in either run; fix: judge the images first")
    if left.keys() != right.keys():
        raise UserError(
            "expected the same prompts in both runs, found "
            + "; ".join(
                f"{len(only)} only in {name} ({_few(only)})"
                for name, only in (
                    (names[0], left.keys() - right.keys()),
                    (names[1], right.keys() - left.keys()),
                )
                if only
            )
            + f"; {len(left.keys() & right.keys())} in both; fix: compare runs of one protocol and one subset"
        )
    prompts = list(left)
    tasks = list(dict.fromkeys(task for task, _ in prompts))
    place = {task: h for h, task in enumerate(tasks)}
    return Paired(
        np.array([np.mean(left[prompt]) for prompt in prompts]),
        np.array([np.mean(right[prompt]) for prompt in prompts]),
        np.array([place[task] for task, _ in prompts], dtype=np.intp),
        tasks,
        (len(baseline) / len(prompts), len(candidate) / len(prompts)),
    )


def _few(prompts: set[tuple[str, str]]) -> str:
    """The first three by name."""
    shown = ", ".join(f"{task}/{item}" for task, item in sorted(prompts)[:3])
    return shown + (", …" if len(prompts) > 3 else "")
