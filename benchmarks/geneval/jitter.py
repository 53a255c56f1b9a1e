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
    """Images with a score near the threshold, and the range of ``overall`` as the threshold moves."""

    near: int
    images: int
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.near} of {self.images} verdicts ({self.near / self.images:.1%}) hang on a score within "
            f"{REACH} of the threshold; thresholds moved by that much give an overall score of "
            f"{self.low:.4f} to {self.high:.4f}"
        )


def jitter(cases: Sequence[Case], classes: Sequence[str], options: Options) -> Jitter | None:
    """Judge again with both thresholds lower and higher by :data:`REACH`; None if there is no image.

    Only classes that a prompt names are looked at. An image keeps its verdict if another threshold brings up
    an object whose colour the judge was not asked for.
    """
    if not cases:
        return None
    near = [is_near(case, options) for case in cases]
    found = []
    for shift in (-REACH, 0.0, REACH):
        moved = dataclasses.replace(
            options,
            threshold=options.threshold + shift,
            counting_threshold=options.counting_threshold + shift,
        )
        marks = [
            _again(case, classes, moved) if shift and close else case.correct
            for case, close in zip(cases, near, strict=True)
        ]
        found.append(_overall([case.metadata["tag"] for case in cases], marks))
    return Jitter(sum(near), len(cases), min(found), max(found))


def is_near(case: Case, options: Options) -> bool:
    """Tell whether a detection of a class that the prompt names has a score near its threshold."""
    metadata = case.metadata
    threshold = options.counting_threshold if metadata["tag"] == "counting" else options.threshold
    clauses = [*metadata.get("include", []), *metadata.get("exclude", [])]
    scores = [
        float(row[4]) for name in {c["class"] for c in clauses} for row in case.detections.get(name, [])
    ]
    return bool(np.any(np.abs(np.array(scores) - threshold) <= REACH))


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
