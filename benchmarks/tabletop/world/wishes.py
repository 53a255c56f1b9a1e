"""What a prompt asks for: groups of things that look alike, and perhaps how the first lies to the second.

A wish has two texts, and each can be read back: so the truth can be drawn from the prompt alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.tabletop.world.languages import en
from benchmarks.tabletop.world.splits import is_unseen_prompt
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES, TEXTURES

#: The beginning of a short caption.
PHOTO: Final = "a photo of "


@dataclass(frozen=True, slots=True)
class Wish:
    """Groups, no two of one shape; with a ``relation`` the first two are single things."""

    groups: tuple[Group, ...]
    relation: str | None = None
    """How the first lies to the second, one of the world's relations."""

    def photo(self) -> str:
        """Return it as GenEval and the world's short captions have it: ``a photo of a star and a heart``."""
        return PHOTO + self.listed()

    def listed(self) -> str:
        """Return what there is to see alone: ``a red star and two hearts``, ``a star left of a heart``."""
        if self.relation is None:
            return en.join([en.phrase(group) for group in self.groups])
        first, second = map(en.phrase, self.groups)
        return f"{first} {self.relation} {second}"

    def told(self) -> str:
        """Return it as the world's captions tell it: a sentence for the things, one for the relation."""
        said = f"The picture shows {en.join([en.phrase(group) for group in self.groups])}."
        if self.relation is None:
            return said
        first, second = (group.shape for group in self.groups[:2])
        return f"{said} The {first} is {self.relation} the {second}."

    def record(self, prompt: str = "") -> dict[str, Any]:
        """Return it in the form of GenEval's objects, with ``texture`` and ``size`` in a clause where told.

        As there, the thing that is located comes after the one that it is located by.
        """
        clauses = [_clause(group) for group in self.groups]
        many = [group for group in self.groups if group.number > 1]
        tag = "position" if self.relation else "counting" if many else "two_object"
        if self.relation:
            first, second, *others = clauses
            clauses = [second, first | {"position": [self.relation, 0]}, *others]
        exclude = [{"class": group.shape, "count": group.number + 1} for group in many]
        return {"tag": tag, "include": clauses, "exclude": exclude, "prompt": prompt}

    @property
    def split(self) -> str:
        """``unseen`` if a composition that is held out from training is asked for, else ``seen``."""
        return "unseen" if is_unseen_prompt(self.record()) else "seen"


def read_wish(text: str) -> Wish | None:
    """Return the wish of which this is the photo or the tale; None if there is none."""
    told = _TOLD.fullmatch(text)
    things = told["things"] if told else text.removeprefix(PHOTO)
    found = [(_group(match), match) for match in _GROUP.finditer(things)]
    groups = tuple(group for group, _ in found)
    relation = told["relation"] if told else None
    if not told and len(found) == 2:
        between = things[found[0][1].end() : found[1][1].start()].strip()
        relation = between if between in RELATIONS else None
    if not groups or len({group.shape for group in groups}) < len(groups):
        return None
    if relation and (len(groups) < 2 or any(group.number > 1 for group in groups[:2])):
        return None
    wish = Wish(groups, relation)
    return wish if text == (wish.told() if told else wish.photo()) else None


def _clause(group: Group) -> dict[str, Any]:
    looks = {"color": group.color, "texture": group.texture, "size": group.size}
    told = {name: word for name, word in looks.items() if word is not None}
    return {"class": group.shape, "count": group.number, **told}


def _any(words: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, words))


_SHAPE_OF: Final = {en.noun(Group(shape, number=n)): shape for shape in SHAPES for n in (1, 2)}
_SIZE_OF: Final = {word: size for size, word in en.SIZES.items()}
_NUMBER_OF: Final = {"a": 1, "an": 1, **{word: number for number, word in en.NUMBERS.items()}}
_GROUP: Final = re.compile(
    rf"\b(?P<number>{_any(tuple(_NUMBER_OF))})"
    rf"(?: (?P<size>{_any(tuple(_SIZE_OF))}))?(?: (?P<texture>{_any(TEXTURES)}))?"
    rf"(?: (?P<color>{_any(tuple(COLORS))}))? (?P<shape>{_any(tuple(_SHAPE_OF))})\b"
)
_TOLD: Final = re.compile(
    rf"The picture shows (?P<things>[^.]*)\.(?: The \w+ is (?P<relation>{_any(RELATIONS)}) the \w+\.)?"
)


def _group(match: re.Match[str]) -> Group:
    return Group(
        shape=_SHAPE_OF[match["shape"]],
        color=match["color"],
        texture=match["texture"],
        size=_SIZE_OF[match["size"]] if match["size"] else None,
        number=_NUMBER_OF[match["number"]],
    )
