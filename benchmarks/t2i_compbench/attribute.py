"""Colour, shape and texture: a question for each noun phrase, and the product of the answers.

The facts are those of BLIPvqa_eval in Karine-Huang/T2I-CompBench at 1b709499; the code is our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.t2i_compbench.errors import MissingValueError
from benchmarks.t2i_compbench.options import OFFICIAL, Attribute

#: A question has at most this many words.
MOST_WORDS: Final = 50


def asked_phrases(texts: Sequence[str], options: Attribute = OFFICIAL.attribute) -> list[int]:
    """Return the places of the noun phrases that are asked for, in order.

    Phrases that only name a position are left out by their exact text, upper and lower case told apart; of
    the others the first ``options.questions`` count.
    """
    kept = [place for place, text in enumerate(texts) if text not in options.unasked]
    return kept[: options.questions]


def question(text: str) -> str:
    """Return the question about a noun phrase, as it enters :func:`pre_question`."""
    return f"{text}?"


def pre_question(text: str) -> str:
    """Return a question as the VQA model reads it.

    Lower case; ``. ! " ( ) * # : ; ~`` are deleted, which can join words; spaces at the end are cut (other
    white space stays); words after the fiftieth are cut, where each single space ends a word. "?" stays.
    """
    words = re.sub(r'[.!"()*#:;~]', "", text.lower()).rstrip(" ").split(" ")
    return " ".join(words[:MOST_WORDS])


def rounded(value: float) -> float:
    """Return a number as it comes back from a text with four decimals: the official files hold such texts."""
    return float(f"{value:.4f}")


def binding_answer(phrases: Sequence[Mapping[str, Any]], options: Attribute = OFFICIAL.attribute) -> str:
    """Return the official answer for one image, a text with four decimals.

    ``phrases`` are all noun phrases of the prompt, ``{"text", "yes_probability"}``. Each probability is
    rounded to four decimals before the product, which is taken from left to right in float32, and rounded
    again. No phrase at all is a full score, as in the official code: a question not asked counts as 1.

    Raises MissingValueError if the probability of a phrase that is asked for is null.
    """
    product = np.float32(1.0)
    for place in asked_phrases([phrase["text"] for phrase in phrases], options):
        probability = phrases[place]["yes_probability"]
        if probability is None:
            raise MissingValueError(
                f"phrases[{place}].yes_probability", "a probability", phrases[place]["text"]
            )
        product = product * np.float32(rounded(probability))
    return f"{float(product):.4f}"
