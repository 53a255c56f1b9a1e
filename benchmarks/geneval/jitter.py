"""How much of a score hangs on a threshold: images whose verdict a slightly different detector would turn.

A port of a detector, another GPU or another library moves scores a little. What lies far from the threshold
does not notice; what lies near it does, and this says how much of the score that is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.geneval.rules import MissingColorError, Options, Rows, evaluate

#: How far a score may move.
REACH: Final = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One image: what was asked, what was seen, and how it was judged."""

    metadata: Mapping[str, Any]
    detections: Mapping[str, Rows]
    colors: Mapping[str, Sequence[str | None]]
    correct: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Jitter:
    """Images with a score near the threshold, and ``overall`` with each at its worst and at its best."""

    near: int
    images: int
    low: float
    high: float

    def __str__(self) -> str:
        if not self.near:
            return f"no verdict of {self.images} has a score within {REACH} of the threshold"
        if f"{self.low:.4f}" == f"{self.high:.4f}":
            moved = f"leave the overall score at {self.low:.4f}"
        else:
            moved = f"give an overall score of {self.low:.4f} to {self.high:.4f}"
        return (
            f"{self.near} of {self.images} verdicts ({self.near / self.images:.1%}) have a score within "
            f"{REACH} of the threshold; moved by up to that much for each image alone, thresholds {moved}"
        )


def jitter(cases: Sequence[Case], classes: Sequence[str], options: Options) -> Jitter | None:
    """Judge each image again with thresholds up to :data:`REACH` lower and higher; None if there is no image.

    ``low`` is ``overall`` with every verdict at its least, ``high`` with every one at its greatest: images
    vary one by one, so that opposite turns do not cancel. Only classes that a prompt names are looked at. An
    image keeps its verdict if another threshold brings up an object whose colour the judge was not asked for.
    """
    if not cases:
        return None
    near, low, high = 0, [], []
    for case in cases:
        marks = {case.correct}
        if is_near(case, options):
            near += 1
            marks |= {_again(case, classes, moved) for moved in _moved(case, options)}
        low.append(min(marks))
        high.append(max(marks))
    tasks = [case.metadata["tag"] for case in cases]
    return Jitter(near, len(cases), _overall(tasks, low), _overall(tasks, high))


def is_near(case: Case, options: Options) -> bool:
    """Tell whether a detection of a class that the prompt names has a score near its threshold."""
    return bool(_near_scores(case, options))


def _threshold(case: Case, options: Options) -> float:
    return options.counting_threshold if case.metadata["tag"] == "counting" else options.threshold


def _near_scores(case: Case, options: Options) -> list[float]:
    threshold = _threshold(case, options)
    clauses = [*case.metadata.get("include", []), *case.metadata.get("exclude", [])]
    scores = [
        float(row[4]) for name in {c["class"] for c in clauses} for row in case.detections.get(name, [])
    ]
    return [score for score in scores if abs(score - threshold) <= REACH]


def _moved(case: Case, options: Options) -> list[Options]:
    """Return the options with every threshold in reach that can matter: both ends, and each score between."""
    threshold = _threshold(case, options)
    places = [threshold - REACH, threshold + REACH, *_near_scores(case, options)]
    return [dataclasses.replace(options, threshold=one, counting_threshold=one) for one in places]


def _again(case: Case, classes: Sequence[str], options: Options) -> bool:
    try:
        return evaluate(case.metadata, case.detections, case.colors, classes, options).correct
    except MissingColorError:
        return case.correct


def _overall(tasks: Sequence[str], marks: Sequence[bool]) -> float:
    """Return the mean of the task means."""
    by_task: dict[str, list[bool]] = {}
    for task, mark in zip(tasks, marks, strict=True):
        by_task.setdefault(task, []).append(mark)
    return float(np.mean([np.mean(one) for one in by_task.values()]))
