"""What a vision-language model is asked: one pinned text around the question."""

from __future__ import annotations

from typing import Final

#: A change of one character is another judge: the text is part of the digest.
PROMPT: Final = "Look at the image and answer the question with one word, yes or no.\n{question}"


def prompt_of(question: str) -> str:
    """Return the text that goes with the image."""
    return PROMPT.format(question=question)
