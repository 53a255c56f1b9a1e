"""The words that GenEval prompts are made of, for photographs (COCO) and for the tabletop world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.tabletop.world.vocabulary import SHAPES

#: The six tasks in the order of the official prompt file; they are the strata of every score.
TASKS: Final = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

#: The colour words, in the order that prompts are drawn from and that reasons list them in.
COLORS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")

#: The spatial relations, in the order that prompts are drawn from.
RELATIONS: Final = ("left of", "right of", "above", "below")

#: The 80 COCO classes in COCO order; GenEval says computer mouse, tv remote and computer keyboard.
COCO_CLASSES: Final = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "computer mouse", "tv remote",
    "computer keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def plural(name: str) -> str:
    """Return GenEval's plural: "es" after an s, else "s" (so "sheeps" and "sandwichs" are official)."""
    return name + ("es" if name.endswith("s") else "s")


def with_article(words: str) -> str:
    """Put "an" before a, e, i, o, u and "a" before all else."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a set of prompts may speak of.

    ``classes`` are the judge's classes in the order of the official records, ``colorable`` the classes that
    prompts give a colour to, in the order that they are drawn from.
    """

    name: str
    classes: tuple[str, ...]
    colorable: tuple[str, ...]
    colors: tuple[str, ...] = COLORS
    relations: tuple[str, ...] = RELATIONS
    plural: Callable[[str], str] = plural


#: No prompt gives a colour to a person.
COCO: Final = Vocabulary("coco", COCO_CLASSES, COCO_CLASSES[1:])

#: The shapes of the embedded world; each may have each colour.
TABLETOP: Final = Vocabulary("tabletop", tuple(SHAPES), tuple(SHAPES))

VOCABULARIES: Final = {vocabulary.name: vocabulary for vocabulary in (COCO, TABLETOP)}
