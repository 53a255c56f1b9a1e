"""What a caption can say, before any language: statements about things and groups of things.

``planning`` chooses true ones about a scene; ``languages`` puts them into words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from benchmarks.tabletop.world.scene import Thing

Level = Literal["tag", "short", "medium", "detailed"]

#: Captions from the barest to the fullest.
LEVELS: Final[tuple[Level, ...]] = ("tag", "short", "medium", "detailed")


class Group(NamedTuple):
    """``number`` things that look alike in everything that is mentioned; ``None`` is left unsaid."""

    shape: str
    color: str | None = None
    texture: str | None = None
    size: str | None = None
    number: int = 1
    definite: bool = False  # the only such thing on the table: "the star", not "a star"


@dataclass(frozen=True, slots=True)
class Statement:
    """One true thing to say.

    ``about`` names the sentence that a language has for it: ``tags``, ``photo``, ``drawing``, ``picture``,
    ``largest``, ``at`` (with ``cell``), ``covers``, ``background``, a relation (``left of``), or
    ``photo`` with a relation (``photo left of``). Relations and ``covers`` hold between ``a`` and ``b``.
    """

    about: str
    a: tuple[Group, ...] = ()
    b: tuple[Group, ...] = ()
    cell: str = ""


Describe = Callable[[Thing], Group]


def shape_only(thing: Thing) -> Group:
    """Describe a thing by its shape."""
    return Group(thing.shape)


def shape_and_color(thing: Thing) -> Group:
    """Describe a thing by its shape and colour."""
    return Group(thing.shape, thing.color)


def shape_color_texture(thing: Thing) -> Group:
    """Describe a thing by all but its size."""
    return Group(thing.shape, thing.color, thing.texture)


def everything(thing: Thing) -> Group:
    """Describe a thing by all of its attributes."""
    return Group(thing.shape, thing.color, thing.texture, thing.size)


def grouped(things: Iterable[Thing], describe: Describe) -> tuple[Group, ...]:
    """Count things by their description, in the order in which each description first comes up."""
    return tuple(group._replace(number=n) for group, n in Counter(map(describe, things)).items())
