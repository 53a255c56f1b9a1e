"""Minimal edits: two scenes that differ in one respect, of which one fulfils a prompt and the other does not.

A judge that tells them apart, in both directions, can be trusted with that respect.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from benchmarks.tabletop.trial.truth import accepts, perfect_output
from benchmarks.tabletop.world.scene import Scene, Thing
from benchmarks.tabletop.world.vocabulary import COLORS, MAX_THINGS, SHAPES, SIZES, TEXTURES

Metadata = Mapping[str, Any]
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """Two scenes: ``original`` fulfils ``metadata``, ``edited`` does not.

    ``metadata`` is GenEval's object, for an edit of texture with ``texture`` in a clause.
    """

    kind: str
    metadata: Metadata
    original: Scene
    edited: Scene


def edits_of(
    metadata: Metadata, scene: Scene, rng: np.random.Generator, kinds: Sequence[str] | None = None
) -> list[Edit]:
    """Make every kind of edit that applies to a scene and the prompt that it fulfils.

    Args:
        metadata: GenEval's object of the prompt.
        scene: a scene that fulfils it.
        rng: draws which thing is edited, and into what.
        kinds: only these, by default all of :data:`KINDS`.
    """
    found = []
    for kind in kinds or KINDS:
        asked, edited = _EDITORS[kind](metadata, scene, rng)
        if edited is None:
            continue
        # What an edit does follows from the truth at both sizes, not from the intention.
        if all(
            accepts(asked, perfect_output(scene, size)) and not accepts(asked, perfect_output(edited, size))
            for size in (64, 128)
        ):
            found.append(Edit(kind, asked, scene, edited))
    return found


_Edited = tuple[Metadata, Scene | None]


def _color(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    """Paint a thing whose colour is asked for in another one."""
    asked = [i for i, thing in enumerate(scene.things) if _clause(metadata, thing).get("color")]
    if not asked:
        return metadata, None
    i = _one(asked, rng)
    # Things of one colour may touch nowhere, so a colour that is there already is no choice.
    others = [color for color in COLORS if color not in {thing.color for thing in scene.things}]
    return metadata, _with(scene, i, color=_one(others, rng))


def _count_less(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    if metadata["tag"] != "counting":
        return metadata, None
    return metadata, _without(scene, _one(range(len(scene.things)), rng))


def _count_more(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    if metadata["tag"] != "counting" or len(scene.things) >= MAX_THINGS:
        return metadata, None
    like = scene.things[_one(range(len(scene.things)), rng)]
    for attempt in range(300):
        size = like.size if attempt < 150 else "small"
        half = SIZES[size] / 2 + 0.02
        x, y = (round(float(value), 4) for value in rng.uniform(half, 1 - half, size=2))
        new = dataclasses.replace(like, x=x, y=y, size=size, tilt=round(float(rng.uniform(-8, 8)), 1))
        reach = [(new.diameter + thing.diameter) / 2 + 0.02 for thing in scene.things]
        if all(
            math.hypot(x - thing.x, y - thing.y) >= r for thing, r in zip(scene.things, reach, strict=True)
        ):
            return metadata, Scene((*scene.things, new), scene.background)
    return metadata, None


def _relation(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    """Turn the relation around: the picture's mirror image, with the things themselves as they were."""
    if metadata["tag"] != "position":
        return metadata, None
    wanted = metadata["include"][1]["position"][0]
    axis = "x" if wanted in ("left of", "right of") else "y"
    things = tuple(
        dataclasses.replace(thing, **{axis: round(1 - getattr(thing, axis), 4)}) for thing in scene.things
    )
    return metadata, Scene(things, scene.background)


def _missing(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    if len(scene.things) < 2 or metadata["tag"] == "counting":
        return metadata, None
    return metadata, _without(scene, _one(range(len(scene.things)), rng))


def _shape(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    others = [shape for shape in SHAPES if shape not in {thing.shape for thing in scene.things}]
    return metadata, _with(scene, _one(range(len(scene.things)), rng), shape=_one(others, rng))


def _texture(metadata: Metadata, scene: Scene, rng: np.random.Generator) -> _Edited:
    """Ask for the texture that a thing has, and give it another one."""
    if metadata["tag"] == "counting":
        return metadata, None
    i = _one(range(len(scene.things)), rng)
    thing = scene.things[i]
    clauses = [
        clause | {"texture": thing.texture} if clause["class"] == thing.shape else clause
        for clause in metadata["include"]
    ]
    others = [texture for texture in TEXTURES if texture != thing.texture]
    return {**metadata, "include": clauses}, _with(scene, i, texture=_one(others, rng))


_EDITORS: Final[dict[str, Callable[[Metadata, Scene, np.random.Generator], _Edited]]] = {
    "color": _color,
    "count less": _count_less,
    "count more": _count_more,
    "relation": _relation,
    "missing": _missing,
    "shape": _shape,
    "texture": _texture,
}
#: The kinds of edit.
KINDS: Final = tuple(_EDITORS)


def _clause(metadata: Metadata, thing: Thing) -> Mapping[str, Any]:
    return next((clause for clause in metadata["include"] if clause["class"] == thing.shape), {})


def _with(scene: Scene, i: int, **changes: str) -> Scene:
    things = list(scene.things)
    things[i] = dataclasses.replace(things[i], **changes)  # type: ignore[arg-type]
    return Scene(tuple(things), scene.background)


def _without(scene: Scene, i: int) -> Scene:
    return Scene(scene.things[:i] + scene.things[i + 1 :], scene.background)


def _one(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    return choices[int(rng.integers(len(choices)))]
