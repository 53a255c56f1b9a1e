"""The judge of DPG-Bench: every question of an item is asked about every image of it.

All questions are asked, also those whose parent was answered no, and also the one that the official rules
pass over: what an answer is worth is the rules' business, so that a rule can change without asking again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image

from benchmarks.dpg.questions import questions_of
from benchmarks.judges.vqa.answering import Answer, Answerer, UnansweredError
from benchmarks.judges.vqa.opening import open_answerer
from lumina_eval.records import Item


def open_judge(table: Mapping[str, Any]) -> QuestionJudge:
    """Return the judge with the answerer of a table ``[judge]``."""
    return QuestionJudge(open_answerer(table))


class QuestionJudge:
    """Puts an item's questions to an answerer; the verdict holds its words by the text of the question."""

    kind: Literal["question"] = "question"

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    @property
    def name(self) -> str:
        """The answerer's name."""
        return self._answerer.name

    @property
    def digest(self) -> str:
        """The answerer's digest."""
        return self._answerer.digest

    @property
    def settings(self) -> Mapping[str, Any]:
        """The answerer's settings."""
        return self._answerer.settings

    def judge(
        self, images: Sequence[Image.Image], items: Sequence[Item]
    ) -> list[Mapping[str, Any] | Exception]:
        """Return ``answers`` for each image, or an error for an image of which a question has no answer."""
        texts = [list(dict.fromkeys(question.text for question in questions_of(item))) for item in items]
        flat = [(image, text) for image, asked in zip(images, texts, strict=True) for text in asked]
        answers: list[Answer | None] = []
        reasons: Mapping[int, str] = {}
        try:
            answers += self._answerer.answer([image for image, _ in flat], [text for _, text in flat])
        except UnansweredError as error:
            answers, reasons = error.answers, error.reasons
        outputs: list[Mapping[str, Any] | Exception] = []
        start = 0
        for asked in texts:
            places = range(start, start + len(asked))
            missing = {place - start: reasons[place] for place in places if place in reasons}
            told = answers[start : start + len(asked)]
            outputs.append(UnansweredError(told, missing) if missing else output_of(asked, told))
            start += len(asked)
        return outputs


def output_of(questions: Sequence[str], answers: Sequence[Answer | None]) -> dict[str, Any]:
    """Write answers as a verdict.

    ``answers`` are what the rules read: the decision where there is one, else the words. Where a decision was
    made, ``words`` and ``yes_probability`` (null where it is not known) keep what it was made from.
    """
    told = {text: answer for text, answer in zip(questions, answers, strict=True) if answer is not None}
    output: dict[str, Any] = {"answers": {text: one.decision or one.text for text, one in told.items()}}
    if any(one.decision is not None for one in told.values()):
        output["words"] = {text: one.text for text, one in told.items()}
        output["yes_probability"] = {text: one.yes_probability for text, one in told.items()}
    return output
