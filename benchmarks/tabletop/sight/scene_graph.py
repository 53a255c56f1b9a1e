"""What the eye saw, written as the scene graph that it would have been drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from benchmarks.tabletop.sight.perception import Seen
from benchmarks.tabletop.world.scene import Thing
from benchmarks.tabletop.world.vocabulary import SIZES

#: Score from which something is taken for a thing at all: half of it can be seen, or the eye is half sure.
LEAST: Final = 0.5


def counted(seen: Sequence[Seen]) -> list[Seen]:
    """Return what counts as a thing, in the order given."""
    return [one for one in seen if one.score >= LEAST]


def thing_of(seen: Seen, side: int) -> Thing:
    """Return a thing as the scene graph would name it; its size is the word nearest to its diameter.

    ``side`` is that of the picture in pixels.
    """
    pose = seen.pose
    size = min(SIZES, key=lambda word: abs(SIZES[word] - pose.diameter / side))
    return Thing(seen.shape, seen.color, seen.texture, size, pose.x / side, pose.y / side, pose.tilt)


def rows(seen: Sequence[Seen], things: Sequence[Thing]) -> list[list[Any]]:
    """Return each thing as ``[x1, y1, x2, y2, score, words]``, pixels, numbers rounded to 4 decimals."""
    return [
        [
            *(round(value, 4) for value in (*one.box, one.score)),
            f"{thing.size} {thing.texture} {thing.color} {thing.shape}",
        ]
        for one, thing in zip(seen, things, strict=True)
    ]
