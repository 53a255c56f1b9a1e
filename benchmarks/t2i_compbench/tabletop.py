"""T2I-CompBench over the shapes of the embedded world: colour, shape, texture, spatial and numeracy.

A prompt is in the words that the embedded model was trained on; the rules, which search its text, read it in
the official form. Its parts of speech, its noun phrases and what a yes to each means come from the wish that
it was made of; no parser is asked. Kept as metadata, a judge copies them into what the rules read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.t2i_compbench.nouns import Nouns
from benchmarks.t2i_compbench.prompt_set import BINDING, item_of
from benchmarks.tabletop.prompt_table import prompt_table
from benchmarks.tabletop.world.facts import Fact
from benchmarks.tabletop.world.languages import en
from benchmarks.tabletop.world.prompt_sets import choose, draw_prompts
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES, TEXTURES
from benchmarks.tabletop.world.wishes import Wish
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

#: The categories that this world can ask: it has neither depth nor actions.
CATEGORIES: Final = ("color", "shape", "texture", "spatial", "numeracy")

#: The world's nouns, for the counting rule.
NOUNS: Final = Nouns(SHAPES, tuple(en.noun(Group(shape, number=2)) for shape in SHAPES))

#: The world's relations in the words that the official rule looks for in a prompt.
OFFICIAL_WORDS: Final = {
    "left of": "on the left of",
    "right of": "on the right of",
    "above": "on the top of",
    "below": "on the bottom of",
}


def items_of(protocol: ResolvedProtocol, categories: list[str]) -> list[Item]:
    """Return the prompts of ``categories``, those of each half seen and half unseen where there are enough.

    Raises UserError for a category that this world cannot ask.
    """
    table = prompt_table(protocol)
    for category in categories:
        if category not in CATEGORIES:
            raise unknown(f"category in protocol {protocol.name}:", category, CATEGORIES)
    return [
        _item(category, prompt, wish)
        for category in categories
        for prompt, wish in draw_prompts(
            partial(_draw, category),
            Wish.photo,
            seed=[table.seed, CATEGORIES.index(category)],
            number=table.per_task,
            part=table.part,
        )
    ]


def known_items(given: Sequence[Item], items: Sequence[Item], file: Path) -> list[Item]:
    """Return the protocol's own items for those that were read from file names.

    Raises UserError for a prompt that the protocol does not have.
    """
    by_id = {item.id: item for item in items}
    for item in given:
        if item.id not in by_id:
            raise UserError(
                f"expected prompts of protocol tabletop in {file}, found {item.prompt!r} of {item.task}; "
                "fix: take the prompts that 'lumina-eval prompts' prints for it"
            )
    return [by_id[item.id] for item in given]


def rule_prompt(item: Item) -> str:
    """Return the prompt as the rules read it: in the official form, positions in the official words."""
    return str((item.metadata or {}).get("rule_prompt", item.prompt))


def _item(category: str, prompt: str, wish: Wish) -> Item:
    text = wish.listed()
    if wish.relation:
        text = text.replace(f" {wish.relation} ", f" {OFFICIAL_WORDS[wish.relation]} ")
    metadata: dict[str, Any] = {"rule_prompt": text, "tokens": tokens_of(text), "phrases": []}
    if category in BINDING:
        metadata["phrases"] = [
            {"text": en.phrase(group), "fact": Fact("exists", group).to_json()} for group in wish.groups
        ]
    made = item_of(category, prompt)
    return made.model_copy(update={"split": wish.split, "metadata": metadata})


def tokens_of(text: str) -> list[list[str]]:
    """Return the words of a prompt of this world, each with its part of speech.

    Raises KeyError for a word that no prompt of it has.
    """
    return [[word, _PARTS_OF_SPEECH[word]] for word in re.findall(r"\w+|,", text)]


def _draw(category: str, rng: np.random.Generator) -> Wish:
    """Draw two shapes, and what the category asks of them."""
    groups = [Group(shape) for shape in choose(SHAPES, 2, rng)]
    match category:
        case "color":
            looks = choose(tuple(COLORS), 2, rng)
            groups = [group._replace(color=look) for group, look in zip(groups, looks, strict=True)]
        case "texture":
            looks = choose(TEXTURES, 2, rng)
            groups = [group._replace(texture=look) for group, look in zip(groups, looks, strict=True)]
        case "spatial":
            return Wish(tuple(groups), choose(RELATIONS, 1, rng)[0])
        case "numeracy":
            numbers = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
            groups = [
                group._replace(number=n) for group, n in zip(groups[: len(numbers)], numbers, strict=True)
            ]
    return Wish(tuple(groups))


#: How many of one kind, or of each of two: four things at most, for five do not always find room.
_NUMBERS: Final = ((2,), (3,), (4,), (1, 2), (2, 1), (1, 3), (3, 1), (2, 2))

_PARTS_OF_SPEECH: Final = {
    **dict.fromkeys((*SHAPES, *NOUNS.plurals, "left", "right", "top", "bottom"), "NOUN"),
    **dict.fromkeys((*COLORS, *TEXTURES), "ADJ"),
    **dict.fromkeys(en.NUMBERS.values(), "NUM"),
    **dict.fromkeys(("a", "an", "the"), "DET"),
    **dict.fromkeys(("on", "of"), "ADP"),
    "and": "CCONJ",
}
