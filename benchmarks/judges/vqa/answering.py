"""What an answerer is: images and questions in, answers out.

The lists are flat and aligned: question n is asked of image n, and an image with five questions stands there
five times (the same object, so that an answerer may prepare it once). Batches are the answerer's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

Decision = Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to one question."""

    text: str
    """The answerer's own words: "yes", "Yes.", "two dogs"."""
    yes_probability: float | None = None
    """P(yes) among yes and no, 0 to 1; None where the answerer does not tell."""
    decision: Decision | None = None
    """Yes or no, where the answerer was made to choose; None where the text is all that there is."""


class UnansweredError(RuntimeError):
    """Some questions have no answer; those that have one are kept. No answer is never a "no"."""

    def __init__(self, answers: Sequence[Answer | None], reasons: Mapping[int, str]) -> None:
        place, why = min(reasons.items())
        super().__init__(f"{len(reasons)} of {len(answers)} questions have no answer; number {place}: {why}")
        self.answers = list(answers)
        """In the order of the questions; None where there is none."""
        self.reasons = dict(reasons)
        """Place of a question to why it has no answer."""


@runtime_checkable
class Answerer(Protocol):
    """A model for visual questions."""

    @property
    def name(self) -> str:
        """Short name, e.g. ``blip``."""

    @property
    def digest(self) -> str:
        """Sha256 of all that changes an answer, apart from the settings: weights, prompt, code."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings as JSON values, every default resolved."""

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return the answer to each question about its image.

        Raises :class:`UnansweredError` if some have none, with the answers that there are, and ValueError
        unless there is one question to each image.
        """


def check_aligned(images: Sequence[Image.Image], questions: Sequence[str]) -> None:
    """Raise ValueError unless there is one question to each image."""
    if len(images) != len(questions):
        raise ValueError(f"expected one question to each image, found {len(images)} and {len(questions)}")
