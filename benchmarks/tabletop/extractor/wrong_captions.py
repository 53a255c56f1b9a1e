"""Captions that are wrong in one respect: the hard ones to tell from the right caption.

What is altered is what a caption says, not its words: so the words around it stay as they are, and that the
new statement is false is checked on the scene.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Final, NamedTuple

import numpy as np

from benchmarks.tabletop.world.facts import is_like
from benchmarks.tabletop.world.planning import cell
from benchmarks.tabletop.world.scene import Scene
from benchmarks.tabletop.world.statements import Group, Statement
from benchmarks.tabletop.world.vocabulary import COLORS, MAX_THINGS, SHAPES, SIZES, TEXTURES

_OPPOSITE: Final = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_CELLS: Final = (
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip


class _Place(NamedTuple):
    """Where in a caption a group stands."""

    statement: int
    side: str
    number: int


def altered(
    said: Sequence[Statement], kind: str, scene: Scene, rng: np.random.Generator
) -> list[Statement] | None:
    """Return the statements with one of them made false of the scene; None if the kind does not apply.

    Args:
        said: what a right caption of the scene says.
        kind: one of :data:`KINDS`.
        scene: what is on the table.
        rng: draws which statement, and what becomes of it.
    """
    choices = list(_ALTERATIONS[kind](said, scene))
    if not choices:
        return None
    return choices[int(rng.integers(len(choices)))]


def _groups(said: Sequence[Statement]) -> Iterator[tuple[_Place, Group]]:
    for i, statement in enumerate(said):
        for side in ("a", "b"):
            for number, group in enumerate(getattr(statement, side)):
                yield _Place(i, side, number), group


def _put(said: Sequence[Statement], place: _Place, group: Group) -> list[Statement]:
    statement = said[place.statement]
    groups = list(getattr(statement, place.side))
    groups[place.number] = group
    put = tuple(groups)
    new = (
        dataclasses.replace(statement, a=put) if place.side == "a" else dataclasses.replace(statement, b=put)
    )
    return [new if i == place.statement else one for i, one in enumerate(said)]


def _looks(
    look: str, words: Sequence[str]
) -> Callable[[Sequence[Statement], Scene], Iterator[list[Statement]]]:
    """Give a group another colour, texture or size, such that no thing is like it."""

    def alterations(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
        for place, group in _groups(said):
            if getattr(group, look) is None:
                continue
            for word in words:
                new = Group(**{**group._asdict(), look: word})
                if not any(is_like(thing, new) for thing in scene.things):
                    yield _put(said, place, new)

    return alterations


def _shape(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
    for place, group in _groups(said):
        for shape in SHAPES:
            if shape not in {thing.shape for thing in scene.things}:
                yield _put(said, place, group._replace(shape=shape))


def _number(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
    """Count one thing too many or too few; a definite thing is the only one, and is left alone."""
    for place, group in _groups(said):
        if said[place.statement].b or group.definite:
            continue
        for number in (group.number - 1, group.number + 1):
            if 1 <= number <= MAX_THINGS:
                yield _put(said, place, group._replace(number=number))


def _binding(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
    """Exchange the colours of two groups of different shapes."""
    for (first, a), (second, b) in permutations(_groups(said), 2):
        if a.color is None or b.color is None or a.color == b.color or a.shape == b.shape:
            continue
        new = a._replace(color=b.color)
        if first.statement == second.statement and not any(is_like(thing, new) for thing in scene.things):
            yield _put(_put(said, first, new), second, b._replace(color=a.color))


def _relation(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
    for i, statement in enumerate(said):
        photo = "photo " if statement.about.startswith("photo ") else ""
        relation = statement.about.removeprefix("photo ")
        if relation in _OPPOSITE:
            new = dataclasses.replace(statement, about=photo + _OPPOSITE[relation])
            yield [new if j == i else one for j, one in enumerate(said)]


def _cell(said: Sequence[Statement], scene: Scene) -> Iterator[list[Statement]]:
    for i, statement in enumerate(said):
        if statement.about != "at":
            continue
        there = {cell(thing) for thing in scene.things if thing.shape == statement.a[0].shape}
        for other in _CELLS:
            if other not in there:
                new = dataclasses.replace(statement, cell=other)
                yield [new if j == i else one for j, one in enumerate(said)]


_ALTERATIONS: Final[dict[str, Callable[[Sequence[Statement], Scene], Iterator[list[Statement]]]]] = {
    "color": _looks("color", tuple(COLORS)),
    "texture": _looks("texture", TEXTURES),
    "size": _looks("size", tuple(SIZES)),
    "shape": _shape,
    "number": _number,
    "binding": _binding,
    "relation": _relation,
    "cell": _cell,
}
#: What can be wrong.
KINDS: Final = tuple(_ALTERATIONS)
