"""Which two objects does a prompt speak of? Told from its words with their parts of speech."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

#: Words with their coarse part of speech as spaCy names it: [[text, pos], …].
Tokens = Sequence[Sequence[str]]

#: The names of two objects; None where none was found.
Pair = tuple[str | None, str | None]

#: The detector knows people by one name only.
PEOPLE: Final = ("girl", "boy", "man", "woman")

#: Words around which the prompts of ``complex`` are taken apart.
PHRASES: Final = (
    "on top of", "on bottom of", "on the left", "on the right", "next to", "on side of", "near",
)  # fmt: skip
_LONGEST: Final = 3


def first_and_last(tokens: Tokens) -> Pair:
    """Return the first and the last noun; both are the same word where there is one noun only."""
    nouns = [text for text, pos in tokens if pos == "NOUN"]
    return (_label(nouns[0]), _label(nouns[-1])) if nouns else (None, None)


def around_phrase(tokens: Tokens) -> Pair:
    """Return the objects before and after a spatial phrase, for the prompts of ``complex``.

    Before it the nearest noun or proper noun counts; after it the next noun, and if there is none the first
    proper noun that a word of another kind follows. Unless this gives two objects in the whole prompt (two
    phrases give four, an end without a noun gives one) there are none.
    """
    found: list[str] = []
    for place in range(len(tokens)):
        length = _phrase_at(tokens, place)
        if length:
            found += [*_before(tokens[:place]), *_after(tokens[place + length :])]
    return (_label(found[0]), _label(found[1])) if len(found) == 2 else (None, None)


def without_adjectives(tokens: Tokens) -> str:
    """Return the text that CLIP reads for a prompt of ``complex``: no adjectives, one space between words."""
    return " ".join(text for text, pos in tokens if pos != "ADJ")


def _phrase_at(tokens: Tokens, place: int) -> int:
    """Return how many words the spatial phrase has that begins here; 0 if none does."""
    for length in range(_LONGEST, 0, -1):
        if " ".join(text for text, _ in tokens[place : place + length]) in PHRASES:
            return length
    return 0


def _before(tokens: Tokens) -> list[str]:
    return [text for text, pos in tokens if pos in ("NOUN", "PROPN")][-1:]


def _after(tokens: Tokens) -> list[str]:
    nouns = [text for text, pos in tokens if pos == "NOUN"]
    if nouns:
        return nouns[:1]
    followed = itertools.pairwise(tokens)
    return [text for (text, pos), (_, next_pos) in followed if pos == "PROPN" and next_pos != "PROPN"][:1]


def _label(noun: str) -> str:
    return "person" if noun in PEOPLE else noun
