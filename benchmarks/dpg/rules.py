"""DPG-Bench's rules: which questions are asked, what an answer is worth, and how scores add up.

Pure functions that give what the official script gives, to the last bit. Line numbers are those of
dpg_bench/compute_dpg_bench.py in TencentQQGYLab/ELLA at 3c228f1d. Scores of crops and items are 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from benchmarks.dpg.questions import Question

#: The one answer that counts; "Yes" and "yes." do not (135).
YES: Final = "yes"
NO: Final = "no"

#: What a later block of rows of an item does to an earlier one.
LaterBlock = Literal["replaces", "joins"]
LATER_BLOCKS: Final[tuple[LaterBlock, ...]] = ("replaces", "joins")


class MissingParentError(ValueError):
    """A question depends on one that is not asked."""

    def __init__(self, question: int, parent: int) -> None:
        super().__init__(f"question {question} depends on question {parent}, which is not asked")
        self.question, self.parent = question, parent


def asked(questions: Sequence[Question], *, skip_first_row: bool, later_block: LaterBlock) -> list[Question]:
    """Return the questions of an item that are asked, in the order of the file (72 to 97).

    The official script passes over the first data row of the file, and starts an item anew whenever its rows
    were interrupted, so that only the last block of them counts.
    """
    rows = [question for question in questions if not (skip_first_row and question.row == 0)]
    if later_block == "joins":
        return rows
    start = 0
    for place in range(1, len(rows)):
        if rows[place].row != rows[place - 1].row + 1:
            start = place
    return rows[start:]


def raw_scores(questions: Sequence[Question], answers: Mapping[str, str]) -> dict[int, float]:
    """Return 1 for each question answered exactly "yes", else 0, by proposition id (132 to 135)."""
    return {question.id: float(answers[question.text] == YES) for question in questions}


def with_dependencies(questions: Sequence[Question], raw: Mapping[int, float]) -> dict[int, float]:
    """Return the scores with 0 for each question of which a parent has 0 (140 to 153).

    The walk is in place and in the order of the file: a parent that comes earlier is seen as the walk left
    it, one that comes later with its raw score. Parents are looked up until one has 0.

    Raises:
        MissingParentError: a parent that is looked up is not asked.
    """
    scores = dict(raw)
    for question in questions:
        for parent in question.parents:
            if parent == 0:
                continue
            if parent not in scores:
                raise MissingParentError(question.id, parent)
            if scores[parent] == 0:
                scores[question.id] = 0.0
                break
    return scores


def crop_score(scores: Mapping[int, float]) -> float:
    """Share of an item's questions that one image fulfils (155)."""
    return sum(scores.values()) / len(scores)


def item_score(crop_scores: Sequence[float]) -> float:
    """Mean over the images of an item (157)."""
    return sum(crop_scores) / len(crop_scores)


def dpg_score(item_scores: Sequence[float]) -> float:
    """DPG-Bench's score, 0 to 100: the mean over items (219, 249)."""
    return float(np.mean(item_scores) * 100)
