"""Counting: which objects a prompt asks for and how many, and how many of them were detected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.t2i_compbench.boxes import Detection, is_same_object
from benchmarks.t2i_compbench.nouns import Nouns
from benchmarks.t2i_compbench.objects import Tokens
from benchmarks.t2i_compbench.options import OFFICIAL, Numeracy

#: Number words of the prompts.
NUMBERS: Final[Mapping[str, int]] = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
}  # fmt: skip

#: The detector's names for objects of the prompts. "telivision" is the official code's spelling; no prompt
#: has it, so a television keeps its name (which the detector knows too).
RENAMED: Final[Mapping[str, str]] = {
    "boy": "person", "girl": "person", "man": "person", "woman": "person", "ship": "boat", "telivision": "tv",
    "goldfish": "fish", "painting": "picture",
}  # fmt: skip


class Asked(NamedTuple):
    """An object that the prompt asks for, by its singular, and how many of it."""

    name: str
    number: int


def asked_for(tokens: Tokens, nouns: Nouns) -> list[Asked]:
    """Return the objects that a prompt asks for, in order.

    After each number word the next two words together are looked up, else the next one. A singular after
    "a", "an" or "one" is one; a plural has the number; two words that are no plural are one, whatever the
    number. A number before a word that is its own plural ("three fish") works; a number before any other
    singular names nothing.
    """
    words = [text for text, _ in tokens]
    found = []
    for place, word in enumerate(words):
        if word not in NUMBERS:
            continue
        number, alone = NUMBERS[word], word in ("a", "an", "one")
        two, one = " ".join(words[place + 1 : place + 3]), "".join(words[place + 1 : place + 2])
        if two != one and (two in nouns.singulars or two in nouns.plurals):
            singular = nouns.singular(two)
            found.append(Asked(two, 1) if singular is None or alone else Asked(singular, number))
        elif alone and one in nouns.singulars:
            found.append(Asked(one, 1))
        elif (singular := nouns.singular(one)) is not None:
            found.append(Asked(singular, number))
    return [Asked(RENAMED.get(name, name), number) for name, number in found]


def without_duplicates(
    detections: Sequence[Detection], options: Numeracy = OFFICIAL.numeracy
) -> list[Detection]:
    """Leave out detections of the same label that lie on one that was kept before, in detector order."""
    kept: list[Detection] = []
    for detection in detections:
        if not any(
            detection.label == other.label and is_same_object(other.box, detection.box, options.duplicate)
            for other in kept
        ):
            kept.append(detection)
    return kept


def numeracy_score(
    tokens: Tokens, detections: Sequence[Detection], nouns: Nouns, options: Numeracy = OFFICIAL.numeracy
) -> float:
    """Return the score of one image, 0 to 1; 0 if the prompt asks for nothing that is known.

    Each object has an equal share: half of it if the object is there at all, half if the count is right. If
    no label is the very name, all labels that contain it are taken for it ("car" counts scarves).
    """
    asked = asked_for(tokens, nouns)
    labels = [detection.label for detection in without_duplicates(detections, options)]
    score = 0.0
    for name, number in asked:
        if name not in labels:
            labels = [name if name in label else label for label in labels]
        share, there = 1 / len(asked), labels.count(name)
        score += 0.5 * share * (there > 0) + 0.5 * share * (there == number)
    return min(score, 1.0)
