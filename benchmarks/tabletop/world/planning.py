"""Which true statements a caption makes about a scene.

Content is chosen here, once for all languages; so truth is decided in one place, and captions of one scene in
several languages are translations of each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from benchmarks.tabletop.world.renderer import silhouette
from benchmarks.tabletop.world.scene import Scene, Thing, relations
from benchmarks.tabletop.world.statements import (
    Group,
    Level,
    Statement,
    everything,
    grouped,
    shape_and_color,
    shape_color_texture,
    shape_only,
)


def cell(thing: Thing) -> str:
    """Return the ninth of the picture that holds the thing's centre, e.g. ``"top left"`` or ``"center"``."""
    row = "top" if thing.y < 1 / 3 else "bottom" if thing.y > 2 / 3 else ""
    column = "left" if thing.x < 1 / 3 else "right" if thing.x > 2 / 3 else ""
    return f"{row} {column}".strip() or "center"


def plan(scene: Scene, level: Level, rng: np.random.Generator) -> list[Statement]:
    """Choose what to say about a scene at a level of detail, in a random order of its things."""
    things = [scene.things[i] for i in rng.permutation(len(scene.things))]
    return _PLANS[level](things, scene, rng)


def _tag(things: Sequence[Thing], scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Name every thing; each shape tells its colour, texture and size with 80, 50 and 30 %."""
    told = {thing.shape: rng.random(3) < (0.8, 0.5, 0.3) for thing in things}

    def describe(thing: Thing) -> Group:
        color, texture, size = told[thing.shape]
        return Group(
            thing.shape,
            thing.color if color else None,
            thing.texture if texture else None,
            thing.size if size else None,
        )

    return [Statement("tags", grouped(things, describe))]


def _short(things: Sequence[Thing], scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Say what GenEval's prompts say: which things, how many, sometimes their colours or a relation.

    The shares balance GenEval's six tasks over the scenes of ``sample_scene``: a relation in 45 % of pairs
    (60 % of them without colours); colours left out in 45 % of other captions, in 70 % of counts.
    """
    shapes = {thing.shape for thing in things}
    if len(things) == 2 == len(shapes):
        first, second = things
        holding = sorted(relations(first, second))
        if holding and rng.random() < 0.45:
            describe = shape_only if rng.random() < 0.6 else shape_and_color
            relation = holding[int(rng.integers(len(holding)))]
            return [Statement(f"photo {relation}", (describe(first),), (describe(second),))]
    colorless = 0.7 if len(things) > 1 == len(shapes) else 0.45
    return [Statement("photo", grouped(things, shape_only if rng.random() < colorless else shape_and_color))]


def _medium(things: Sequence[Thing], scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Count the things with their colours; often add a place or a relation."""
    describe = shape_color_texture if rng.random() < 0.3 else shape_and_color
    said = [Statement("picture", grouped(things, describe))]
    if rng.random() < 0.7:
        if len(things) == 1:
            the_thing = shape_only(things[0])._replace(definite=True)
            said.append(Statement("at", (the_thing,), cell=cell(things[0])))
        else:
            said += _relations(things, 1, rng)
    return said


def _detailed(things: Sequence[Thing], scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Tell everything: style, all things, the largest, each thing's looks and place, relations, depth."""
    said = [Statement("drawing", grouped(things, shape_and_color))]
    widest = max(thing.diameter for thing in things)
    largest = [thing for thing in things if thing.diameter == widest]
    if len(things) > 1 == len(largest):
        said.append(Statement("largest", (shape_color_texture(largest[0]),)))
    for place in dict.fromkeys(map(cell, things)):
        here = grouped((t for t in things if cell(t) == place), everything)
        said += [Statement("at", (group,), cell=place) for group in here]
    said += _relations(things, 1 + (len(things) > 2), rng)
    said += _coverings(scene, rng)
    said.append(Statement("background"))
    return said


_PLANS: Final[dict[Level, Callable[[Sequence[Thing], Scene, np.random.Generator], list[Statement]]]] = {
    "tag": _tag,
    "short": _short,
    "medium": _medium,
    "detailed": _detailed,
}


def _relations(things: Sequence[Thing], most: int, rng: np.random.Generator) -> list[Statement]:
    """Return up to ``most`` relations between things that can be told apart in words."""
    said: list[Statement] = []
    for first, second in pairwise(things):
        a, b = _named(first, second, things, rng)
        holding = sorted(relations(first, second))
        if holding and a != b and len(said) < most:
            said.append(Statement(holding[int(rng.integers(len(holding)))], (a,), (b,)))
    return said


def _named(first: Thing, second: Thing, things: Sequence[Thing], rng: np.random.Generator) -> list[Group]:
    """Name two things for a sentence, each definite where its name fits no other thing on the table."""
    describe = shape_only if first.shape != second.shape and rng.random() < 0.5 else shape_and_color
    names = Counter(map(describe, things))
    return [(name := describe(thing))._replace(definite=names[name] == 1) for thing in (first, second)]


def _coverings(scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Return which things lie partly on which others."""
    said = []
    for i, bottom in enumerate(scene.things):
        for top in scene.things[i + 1 :]:
            if covers(top, bottom):
                a, b = _named(top, bottom, scene.things, rng)
                said.append(Statement("covers", (a,), (b,)))
    return said


def covers(top: Thing, bottom: Thing) -> bool:
    """Tell whether the upper of two things hides a part of the lower one that can be seen at 64 pixels.

    It hides at least 4 of the picture's 64 x 64 pixels, where both outlines fill more than half of a pixel.
    """
    if math.hypot(top.x - bottom.x, top.y - bottom.y) >= 0.66 * (top.diameter + bottom.diameter):
        return False  # no outline reaches farther than its corners: 0.66 diameters (triangle)
    return int(np.count_nonzero(silhouette(top, 64) & silhouette(bottom, 64))) >= 4
