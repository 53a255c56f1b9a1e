"""Prompt sets of GenEval: one generator over any vocabulary.

Over the COCO vocabulary with seed 43 and 100 draws per task it gives the 553 official records to the byte
(prompts/create_prompts.py of djghosh13/geneval at af4902f2, lines 33 to 163). Over the tabletop vocabulary
it gives the set of the embedded world.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.geneval.vocabulary import TASKS, Vocabulary, with_article

#: One official metadata object: ``tag``, ``include``, perhaps ``exclude``, and ``prompt``, in this order.
Record = dict[str, Any]

#: Largest count that a counting prompt asks for, and the words for them.
COUNT_WORDS = {2: "two", 3: "three", 4: "four"}


def generate(vocabulary: Vocabulary, *, seed: int, draws: int) -> list[Record]:
    """Draw a prompt set: every class once, then ``draws`` records for each other task, without repeats.

    The order of the calls to the random generator is what makes the set official; a change of it makes
    another set.
    """
    rng = np.random.default_rng(seed)
    everything = rng.choice(len(vocabulary.classes), size=len(vocabulary.classes), replace=False)
    records = [_single_object(vocabulary.classes[index]) for index in everything]
    for task in TASKS[1:]:
        records += [_DRAW[task](vocabulary, rng) for _ in range(draws)]
    return list({json.dumps(record): record for record in records}.values())


def to_jsonl(records: Iterable[Record]) -> str:
    """Write records in the official form: one JSON object a line, each line ended by a newline."""
    return "".join(json.dumps(record) + "\n" for record in records)


def _single_object(name: str) -> Record:
    return {
        "tag": "single_object",
        "include": [{"class": name, "count": 1}],
        "prompt": f"a photo of {with_article(name)}",
    }


def _two_object(vocabulary: Vocabulary, rng: np.random.Generator) -> Record:
    a, b = _two(vocabulary.classes, rng)
    return {
        "tag": "two_object",
        "include": [{"class": a, "count": 1}, {"class": b, "count": 1}],
        "prompt": f"a photo of {with_article(a)} and {with_article(b)}",
    }


def _counting(vocabulary: Vocabulary, rng: np.random.Generator) -> Record:
    name = _one(vocabulary.classes, rng)
    count = int(rng.integers(min(COUNT_WORDS), max(COUNT_WORDS), endpoint=True))
    return {
        "tag": "counting",
        "include": [{"class": name, "count": count}],
        "exclude": [{"class": name, "count": count + 1}],
        "prompt": f"a photo of {COUNT_WORDS[count]} {vocabulary.plural(name)}",
    }


def _colors(vocabulary: Vocabulary, rng: np.random.Generator) -> Record:
    name = _one(vocabulary.colorable, rng)
    color = _one(vocabulary.colors, rng)
    return {
        "tag": "colors",
        "include": [{"class": name, "count": 1, "color": color}],
        "prompt": f"a photo of {with_article(color)} {name}",
    }


def _position(vocabulary: Vocabulary, rng: np.random.Generator) -> Record:
    located, reference = _two(vocabulary.classes, rng)
    relation = _one(vocabulary.relations, rng)
    # The reference is clause 0, and the located object points back to it by index.
    return {
        "tag": "position",
        "include": [
            {"class": reference, "count": 1},
            {"class": located, "count": 1, "position": [relation, 0]},
        ],
        "prompt": f"a photo of {with_article(located)} {relation} {with_article(reference)}",
    }


def _color_attr(vocabulary: Vocabulary, rng: np.random.Generator) -> Record:
    a, b = _two(vocabulary.colorable, rng)
    color_a, color_b = _two(vocabulary.colors, rng)
    return {
        "tag": "color_attr",
        "include": [
            {"class": a, "count": 1, "color": color_a},
            {"class": b, "count": 1, "color": color_b},
        ],
        "prompt": f"a photo of {with_article(color_a)} {a} and {with_article(color_b)} {b}",
    }


_DRAW: dict[str, Callable[[Vocabulary, np.random.Generator], Record]] = {
    "two_object": _two_object,
    "counting": _counting,
    "colors": _colors,
    "position": _position,
    "color_attr": _color_attr,
}


def _one(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.choice(len(words)))]


def _two(words: tuple[str, ...], rng: np.random.Generator) -> tuple[str, str]:
    first, second = rng.choice(len(words), size=2, replace=False)
    return words[int(first)], words[int(second)]
