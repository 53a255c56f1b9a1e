"""A scene graph, and a seeded way to make one.

A scene is the truth of an image: which things lie on the table, in which order, and where. Captions,
pictures and judgements are all derived from it and never the other way round.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.tabletop.world.vocabulary import (
    BACKGROUND_LIGHTNESS,
    COLORS,
    MAX_THINGS,
    SHAPES,
    SIZES,
    TEXTURES,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What a thing is, apart from where it lies; ``None`` leaves the choice to :func:`place`."""

    shape: str
    color: str | None = None
    texture: str | None = None
    size: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Thing:
    """One thing on the table.

    ``x`` and ``y`` are the centre as fractions of the image side (0 = left or top); ``tilt`` is in degrees,
    clockwise. Things later in a scene lie on top of earlier ones.
    """

    shape: str
    color: str
    texture: str
    size: str
    x: float
    y: float
    tilt: float = 0.0

    @property
    def diameter(self) -> float:
        """Width of the thing's bounding circle as a fraction of the image side."""
        return SIZES[self.size]


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """Things in depth order (bottom first) on a grey table of the given sRGB value."""

    things: tuple[Thing, ...]
    background: tuple[int, int, int]

    def to_json(self) -> dict[str, Any]:
        """Return the scene graph as plain JSON values."""
        return {"background": list(self.background), "things": [dataclasses.asdict(t) for t in self.things]}

    @staticmethod
    def from_json(record: dict[str, Any]) -> Scene:
        """Rebuild a scene from :meth:`to_json`."""
        things = tuple(Thing(**thing) for thing in record["things"])
        red, green, blue = record["background"]
        return Scene(things, (red, green, blue))


class CrowdedTableError(ValueError):
    """The things asked for could not be laid on the table."""


def relations(a: Thing, b: Thing) -> set[str]:
    """Return every relation of ``a`` to ``b`` under GenEval's rule (``benchmarks.geneval.rules``)."""
    dx, dy = a.x - b.x, a.y - b.y
    margin = 0.1 * (a.diameter + b.diameter)
    rx = math.copysign(max(abs(dx) - margin, 0.0), dx)
    ry = math.copysign(max(abs(dy) - margin, 0.0), dy)
    length = math.hypot(dx, dy)
    found = set()
    if length > 0:
        if rx / length < -0.5:
            found.add("left of")
        if rx / length > 0.5:
            found.add("right of")
        if ry / length < -0.5:
            found.add("above")
        if ry / length > 0.5:
            found.add("below")
    return found


def sample_background(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw a grey table with a faint tint of at most 4 levels."""
    low, high = BACKGROUND_LIGHTNESS
    grey = int(rng.integers(low, high + 1))
    tint = rng.integers(-4, 5, size=3)
    return (grey + int(tint[0]), grey + int(tint[1]), grey + int(tint[2]))


def place(
    kinds: Sequence[Kind],
    rng: np.random.Generator,
    *,
    relation: str | None = None,
    overlap: float = 0.0,
    tries: int = 400,
) -> Scene:
    """Lay things of the given kinds on a table.

    Args:
        kinds: 1 to 5 kinds, bottom of the pile first; attributes that are ``None`` are drawn.
        rng: source of all randomness.
        relation: if given, the second thing stands in this relation to the first, and in no other.
        overlap: how far two things of *different* colour may reach into each other, as a fraction of the
            smaller diameter (0 keeps them apart). Things of one colour never touch.
        tries: attempts at the whole layout; every quarter of them the free sizes are drawn one step smaller.

    Raises:
        CrowdedTableError: no layout was found, or there are more than five things.
    """
    if not 1 <= len(kinds) <= MAX_THINGS:
        raise CrowdedTableError(f"a table holds 1 to {MAX_THINGS} things, {len(kinds)} were asked for")
    background = sample_background(rng)
    colors, textures, sizes = tuple(COLORS), TEXTURES, tuple(SIZES)
    for attempt in range(tries):
        largest = 3 - min(2, 4 * attempt // tries) if len(kinds) < 4 else 2 if attempt < tries // 2 else 1
        things: list[Thing] = []
        for kind in kinds:
            size = kind.size or sizes[int(rng.integers(largest))]
            color = kind.color or colors[int(rng.integers(len(colors)))]
            texture = kind.texture or ("plain" if rng.random() < 0.55 else textures[1 + int(rng.integers(3))])
            half = SIZES[size] / 2 + 0.02
            x, y = rng.uniform(half, 1 - half, size=2)
            thing = Thing(kind.shape, color, texture, size, round(float(x), 4), round(float(y), 4),
                          round(float(rng.uniform(-8, 8)), 1))  # fmt: skip
            if any(_collide(thing, other, overlap) for other in things):
                break
            things.append(thing)
        else:
            if relation is None or relations(things[1], things[0]) == {relation}:
                return Scene(tuple(things), background)
    raise CrowdedTableError(f"no layout of {len(kinds)} things found in {tries} tries")


def _collide(a: Thing, b: Thing, overlap: float) -> bool:
    """Tell whether two things come closer than allowed."""
    distance = math.hypot(a.x - b.x, a.y - b.y)
    reach = (a.diameter + b.diameter) / 2
    if a.color == b.color:
        return distance < reach + 0.02
    return distance < reach - overlap * min(a.diameter, b.diameter)


def sample_scene(rng: np.random.Generator, *, overlap: float = 0.12) -> Scene:
    """Draw a scene the way training sets do.

    One thing (25 %), two different things (35 %), two to five of one shape (25 %), or a mixture of three to
    five (15 %). The shares follow what GenEval asks about, not what is likely on a table.
    """
    while True:
        draw = rng.random()
        if draw < 0.25:
            kinds = [Kind(_shape(rng))]
        elif draw < 0.60:
            first, second = rng.choice(len(SHAPES), size=2, replace=False)
            kinds = [Kind(SHAPES[int(first)]), Kind(SHAPES[int(second)])]
        elif draw < 0.85:
            one_color = None if rng.random() < 0.3 else tuple(COLORS)[int(rng.integers(len(COLORS)))]
            kinds = [Kind(_shape(rng), one_color)] * int(rng.choice([2, 3, 4, 5], p=[0.3, 0.32, 0.28, 0.1]))
        else:
            kinds = [Kind(_shape(rng)) for _ in range(int(rng.integers(3, 6)))]
        try:
            return place(kinds, rng, overlap=overlap if rng.random() < 0.3 else 0.0)
        except CrowdedTableError:
            continue


def _shape(rng: np.random.Generator) -> str:
    return SHAPES[int(rng.integers(len(SHAPES)))]
