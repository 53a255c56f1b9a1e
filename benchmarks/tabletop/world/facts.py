"""Single facts about a table, each true or false of any scene: what a yes/no question asks.

A fact is judged on things, wherever they come from: the scene graph that was drawn, or the one that the eye
read from pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tabletop.world.scene import Thing, relations
from benchmarks.tabletop.world.statements import Group


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact.

    ``says`` is ``exists`` (some thing is like ``a``), ``every`` (there are things of its shape, and all are
    like ``a``), ``number`` (there are exactly ``a.number`` things of its shape), or a relation (some thing
    like ``a`` lies so to some thing like ``b``).
    """

    says: str
    a: Group
    b: Group | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fact as plain JSON values."""
        return {"says": self.says, "a": self.a._asdict(), "b": self.b._asdict() if self.b else None}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Fact:
        """Rebuild a fact from :meth:`to_json`."""
        b = record["b"]
        return Fact(record["says"], Group(**record["a"]), Group(**b) if b else None)


def holds(fact: Fact, things: Sequence[Thing]) -> bool:
    """Tell whether a fact is true of the things on a table."""
    of_shape = [thing for thing in things if thing.shape == fact.a.shape]
    like = [thing for thing in of_shape if is_like(thing, fact.a)]
    match fact.says:
        case "exists":
            return bool(like)
        case "every":
            return bool(like) and len(like) == len(of_shape)
        case "number":
            return len(of_shape) == fact.a.number
    others = [thing for thing in things if fact.b is not None and is_like(thing, fact.b)]
    return any(fact.says in relations(one, other) for one in like for other in others)


def is_like(thing: Thing, group: Group) -> bool:
    """Tell whether a thing has every look that the group's description names."""
    told = (
        (thing.shape, group.shape),
        (thing.color, group.color),
        (thing.texture, group.texture),
        (thing.size, group.size),
    )
    return all(word in (look, None) for look, word in told)
