"""``complex``: attributes, position and action of one prompt, each counted where the prompt asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from benchmarks.t2i_compbench.errors import MissingValueError

#: What a prompt asks for beside attributes: a position, an action, or both.
Kind = Literal["spatial", "action", "both"]

#: The scores of an image that count for a prompt of each kind, in the order that they are added in.
PARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "spatial": ("spatial", "attribute"),
    "action": ("action", "attribute"),
    "both": ("action", "spatial", "attribute"),
}


def prompt_key(prompt: str) -> str:
    """Return what the official code tells prompts apart by: lower case, up to the first full stop."""
    return prompt.lower().split(".")[0]


def three_in_one(scores: Mapping[str, Any], kind: Kind) -> float:
    """Return the plain mean of the scores that count: ``attribute``, ``spatial`` and ``action``.

    Raises MissingValueError if one of them is null; those that do not count are not read.
    """
    for part in PARTS[kind]:
        if scores.get(part) is None:
            raise MissingValueError(f"scores.{part}", f"a number for a prompt of kind {kind!r}")
    return sum(float(scores[part]) for part in PARTS[kind]) / len(PARTS[kind])
