"""DPG-Bench over the shapes of the embedded world: captions that say all, and the questions about each.

Prompts, questions and what a yes to each means come from one wish, so that nothing need be parsed: a judge
reads the meaning of a question from ``metadata["facts"]``, by proposition id.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from benchmarks.dpg.questions import Question, make_item
from benchmarks.tabletop.prompt_table import prompt_table
from benchmarks.tabletop.world.facts import Fact
from benchmarks.tabletop.world.languages import en
from benchmarks.tabletop.world.prompt_sets import choose, draw_prompts
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES, SIZES, TEXTURES
from benchmarks.tabletop.world.wishes import Wish
from lumina_eval.digests import sha256_bytes
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

#: Kinds of scene, the strata: one thing; two in a relation; three, two of them in one; a number beside one.
#: No caption is longer than the 32 tokens that the embedded model reads.
SCENES: Final = ("one", "two", "three", "number")

#: A question in DPG's form: its tuple, its text, the ids of its parents, and the fact that a yes states.
_Row = tuple[str, str, tuple[int, ...], Fact]


def items_of(protocol: ResolvedProtocol) -> list[Item]:
    """Return the prompts of the protocol, kind of scene by kind of scene, each with its questions."""
    table = prompt_table(protocol)
    return [
        _item(task, prompt, wish)
        for place, task in enumerate(SCENES)
        for prompt, wish in draw_prompts(
            partial(_draw, task), Wish.told, seed=[table.seed, place], number=table.per_task, part=table.part
        )
    ]


def questions_about(wish: Wish) -> list[tuple[Question, Fact]]:
    """Return the questions about a wish, parents first, each with the fact that a yes states.

    An attribute and a number depend on their entity, a relation on both of its entities.
    """
    return [
        (Question(row=place, id=place + 1, parents=parents, tuple=what, text=text), fact)
        for place, (what, text, parents, fact) in enumerate(_rows(wish))
    ]


def _item(task: str, prompt: str, wish: Wish) -> Item:
    asked = questions_about(wish)
    number = sha256_bytes(prompt.encode())[:12]
    made = make_item(f"{task}-{number}", prompt, [question for question, _ in asked], blob=None)
    facts = {str(question.id): fact.to_json() for question, fact in asked}
    return made.model_copy(
        update={"task": task, "split": wish.split, "metadata": {**made.metadata, "facts": facts}}
    )


def _draw(task: str, rng: np.random.Generator) -> Wish:
    """Draw what a scene of one of the kinds :data:`SCENES` has."""
    things = {"one": 1, "two": 2, "three": 3, "number": 2}[task]
    shapes, colors = choose(SHAPES, things, rng), choose(tuple(COLORS), things, rng)
    groups = [
        Group(shape, color, choose(TEXTURES, 1, rng)[0], choose(tuple(SIZES), 1, rng)[0])
        for shape, color in zip(shapes, colors, strict=True)
    ]
    if task in ("three", "number"):  # with sizes too, three things would be more than is read
        groups = [group._replace(size=None) for group in groups]
    if task == "number":
        groups[0] = groups[0]._replace(number=int(rng.integers(2, 4)))
    relation = choose(RELATIONS, 1, rng)[0] if task in ("two", "three") else None
    return Wish(tuple(groups), relation)


def _rows(wish: Wish) -> Iterator[_Row]:
    """Yield entities, attributes, numbers, then the relation; entity ``k`` has proposition id ``k + 1``."""
    for group in wish.groups:
        shape = Group(group.shape)
        question = f"Is there {en.phrase(shape)}?" if group.number == 1 else f"Are there {en.noun(group)}?"
        yield f"entity - whole ({en.noun(group)})", question, (0,), Fact("exists", shape)
    for place, group in enumerate(wish.groups):
        noun, are = en.noun(group), "Is" if group.number == 1 else "Are"
        looks = (
            ("color", group.color, Group(group.shape, color=group.color)),
            ("texture", group.texture, Group(group.shape, texture=group.texture)),
            ("size", en.SIZES.get(group.size or ""), Group(group.shape, size=group.size)),
        )
        for name, said, like in looks:
            if said is not None:
                fact = Fact("every", like)
                yield f"attribute - {name} ({noun}, {said})", f"{are} the {noun} {said}?", (place + 1,), fact
    for place, group in enumerate(wish.groups):
        if group.number > 1:
            text = f"Are there {en.phrase(Group(group.shape, number=group.number))}?"
            fact = Fact("number", Group(group.shape, number=group.number))
            yield f"other - count ({en.noun(group)}, =={group.number})", text, (place + 1,), fact
    if wish.relation:
        a, b = (Group(group.shape) for group in wish.groups[:2])
        text = f"Is the {a.shape} {wish.relation} the {b.shape}?"
        fact = Fact(wish.relation, a, b)
        yield f"relation - spatial ({a.shape}, {b.shape}, {wish.relation})", text, (1, 2), fact
