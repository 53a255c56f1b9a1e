"""English. The ``photo`` sentences are GenEval's prompt forms, word for word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.tabletop.world.languages.language import Case, Language
from benchmarks.tabletop.world.statements import Group

NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five"}
SIZES: Final = {"small": "small", "medium": "medium-sized", "large": "large"}


def noun(group: Group) -> str:
    """Return the shape's name in the number of the group."""
    if group.number == 1:
        return group.shape
    return group.shape + ("es" if group.shape.endswith("s") else "s")


def phrase(group: Group, case: Case = "nominative") -> str:
    """Return e.g. ``a large striped red star`` or ``two stars``; English nouns have no cases."""
    size = SIZES[group.size] if group.size else None
    words = " ".join(filter(None, (size, group.texture, group.color, noun(group))))
    if group.number > 1:
        return f"{NUMBERS[group.number]} {words}"
    if group.definite:
        return f"the {words}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def tag(group: Group) -> str:
    """Return e.g. ``two stars, red, striped``."""
    head = noun(group) if group.number == 1 else f"{NUMBERS[group.number]} {noun(group)}"
    size = SIZES[group.size] if group.size else None
    return ", ".join(filter(None, (head, group.color, group.texture, size)))


def join(phrases: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


CELLS: Final = {
    "top left": "at the top left",
    "top": "at the top",
    "top right": "at the top right",
    "left": "on the left",
    "center": "in the center",
    "right": "on the right",
    "bottom left": "at the bottom left",
    "bottom": "at the bottom",
    "bottom right": "at the bottom right",
}

ENGLISH: Final = Language(
    code="en",
    phrase=phrase,
    tag=tag,
    join=join,
    cells=CELLS,
    sentences={
        "photo": ("a photo of {a}",),
        "photo left of": ("a photo of {a} left of {b}",),
        "photo right of": ("a photo of {a} right of {b}",),
        "photo above": ("a photo of {a} above {b}",),
        "photo below": ("a photo of {a} below {b}",),
        "picture": (
            "The picture shows {a}.",
            "{a} on a gray table.",
            "An image with {a}.",
            "{a} can be seen.",
        ),
        "drawing": (
            "A flat drawing of {a} on a table.",
            "This simple illustration shows {a}.",
            "A plain digital drawing with {a}, seen from above.",
        ),
        "largest": ("The largest shape is {a}.", "The main thing, and the largest, is {a}."),
        "at": ("{a} is {cell}.", "{cell} is {a}.", "{cell} there is {a}."),
        "at many": ("{a} are {cell}.", "{cell} are {a}.", "{cell} there are {a}."),
        "left of": ("{a} is left of {b}.", "{a} is to the left of {b}.", "{a} lies left of {b}."),
        "right of": ("{a} is right of {b}.", "{a} is to the right of {b}.", "{a} lies right of {b}."),
        "above": ("{a} is above {b}.", "{a} lies above {b}."),
        "below": ("{a} is below {b}.", "{a} lies below {b}."),
        "covers": (
            "{a} partly covers {b}.",
            "{a} lies partly on top of {b}.",
            "{a} overlaps {b} from above.",
        ),
        "background": (
            "The background is gray.",
            "The background is a plain gray.",
            "Everything lies on a gray background.",
        ),
    },
)
