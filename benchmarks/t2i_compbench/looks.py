"""Which models look at an image, by the category of its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from benchmarks.t2i_compbench.prompt_set import BINDING, CATEGORIES, kind_of
from benchmarks.t2i_compbench.three_in_one import PARTS
from lumina_eval.records import Item

#: A model of the judge, by its key in the table ``[judge]``.
Look = Literal["vqa", "detector", "clip", "depth"]

#: Which models look at the images of a category.
LOOKS: Final[Mapping[str, tuple[Look, ...]]] = {
    **dict.fromkeys(BINDING, ("vqa",)),
    "spatial": ("detector",),
    "3d_spatial": ("detector", "depth"),
    "numeracy": ("detector",),
    "non_spatial": ("clip",),
    "complex": ("vqa", "detector", "clip"),
}
#: Categories whose prompts must be parsed.
PARSED: Final = tuple(category for category in CATEGORIES if category != "non_spatial")
#: What a part of ``complex`` is looked at for, by the name of its score.
_PART_LOOKS: Final[Mapping[str, Look]] = {"attribute": "vqa", "spatial": "detector", "action": "clip"}


def looks_of(item: Item) -> Sequence[Look]:
    """Return the models that look at an image of the item; in ``complex`` it goes by the kind of prompt."""
    if item.task == "complex":
        return [_PART_LOOKS[part] for part in PARTS[kind_of(item.prompt)]]
    return LOOKS[item.task]
