"""The prompts of the test set, by category; texts of others (MIT), see prompts/LICENSE."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from benchmarks.t2i_compbench.numeracy import Nouns
from benchmarks.t2i_compbench.three_in_one import Kind, prompt_key
from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

_FOLDER: Final = Path(__file__).parent / "prompts"

#: All categories in the order of the metrics; they are the tasks of the statistics.
CATEGORIES: Final = (
    "color", "shape", "texture", "spatial", "3d_spatial", "numeracy", "non_spatial", "complex",
)  # fmt: skip
BINDING: Final = ("color", "shape", "texture")


def items_of(protocol: ResolvedProtocol) -> list[Item]:
    """Return the protocol's prompts in official order; ids are like ``color-017``."""
    return [
        Item(id=f"{category}-{number:03d}", prompt=prompt, task=category)
        for category in categories_of(protocol)
        for number, prompt in enumerate(prompts_of(category))
    ]


def item_of(category: str, prompt: str) -> Item:
    """Return the item of any prompt: one of the test set keeps its id, another has one from its text."""
    number = _numbers(category).get(prompt)
    name = f"x{sha256_bytes(prompt.encode())[:11]}" if number is None else f"{number:03d}"
    return Item(id=f"{category}-{name}", prompt=prompt, task=category)


def categories_of(protocol: ResolvedProtocol) -> list[str]:
    """Return the categories that the protocol asks; raise UserError for one that there is not."""
    chosen = protocol.value("prompts.categories")
    if not isinstance(chosen, list) or not chosen:
        raise UserError(
            f"expected a list of categories for prompts.categories, found {chosen!r}, in protocol "
            f"{protocol.name}; fix: name one or more of {', '.join(CATEGORIES)}"
        )
    for category in chosen:
        if category not in CATEGORIES:
            raise unknown(
                f"category in prompts.categories of protocol {protocol.name}:", str(category), CATEGORIES
            )
    return [category for category in CATEGORIES if category in chosen]


def kind_of(prompt: str) -> Kind:
    """Return what a prompt of ``complex`` asks for; one that is not in the test set asks for both."""
    return _kinds().get(prompt_key(prompt), "both")


@functools.cache
def prompts_of(category: str) -> tuple[str, ...]:
    """Return the 300 test prompts of a category, in official order."""
    return _lines(f"{category}.txt")


@functools.cache
def nouns() -> Nouns:
    """Return the objects that prompts of ``numeracy`` may name."""
    return Nouns.of_lines(_lines("objects.txt"))


@functools.cache
def _numbers(category: str) -> Mapping[str, int]:
    return {prompt: number for number, prompt in enumerate(prompts_of(category))}


@functools.cache
def _kinds() -> Mapping[str, Kind]:
    kinds = cast("tuple[Kind, ...]", _lines("complex_kinds.txt"))
    return {prompt_key(prompt): kind for prompt, kind in zip(prompts_of("complex"), kinds, strict=True)}


def _lines(name: str) -> tuple[str, ...]:
    return tuple((_FOLDER / name).read_text(encoding="utf-8").splitlines())
