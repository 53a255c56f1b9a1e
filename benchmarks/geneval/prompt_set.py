"""From a protocol's ``[prompts]`` table to the items that it asks."""

from __future__ import annotations

import json
from typing import Final

from benchmarks.geneval.prompts import Record, generate
from benchmarks.geneval.vocabulary import TABLETOP, TASKS, VOCABULARIES, Vocabulary
from benchmarks.tabletop.world.splits import is_unseen_prompt, prompt_split
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

#: Which prompts a run may ask. Only a vocabulary with a division into dev and test has more than "all".
PARTS: Final = ("all", "dev", "test")

#: Tasks with too few prompts to divide (8 and 24 on the table): all of them are in dev and in test.
UNDIVIDED: Final = ("single_object", "counting")


def vocabulary_of(protocol: ResolvedProtocol) -> Vocabulary:
    """Return the vocabulary that the protocol names."""
    name = str(protocol.value("prompts.vocabulary"))
    if name not in VOCABULARIES:
        raise unknown("vocabulary", name, VOCABULARIES)
    return VOCABULARIES[name]


def items_of(protocol: ResolvedProtocol) -> list[Item]:
    """Return the protocol's prompts in official order.

    An item's id is its place in the whole set before any division, so it means the same prompt in each part.
    """
    vocabulary = vocabulary_of(protocol)
    part = _part(protocol, vocabulary)
    left = dict(protocol.value("prompts.per_task", {}))
    for task in left:
        if task not in TASKS:
            raise unknown(f"task in prompts.per_task of protocol {protocol.name}:", task, TASKS)
    items = []
    for identifier, record in _whole_set(protocol):
        task = record["tag"]
        if not _belongs(record, part) or left.get(task, 1) <= 0:
            continue
        if task in left:
            left[task] -= 1
        items.append(item_of(record, identifier, vocabulary))
    return items


def known_ids(protocol: ResolvedProtocol) -> dict[str, str]:
    """Return the id of every prompt of the whole set, whatever its part, by its official metadata line."""
    return {json.dumps(record): identifier for identifier, record in _whole_set(protocol)}


def item_of(record: Record, identifier: str, vocabulary: Vocabulary) -> Item:
    """Make the item for one official metadata object."""
    return Item(
        id=identifier,
        prompt=record["prompt"],
        task=record["tag"],
        split=_split(record) if vocabulary is TABLETOP else None,
        metadata=record,
    )


def _whole_set(protocol: ResolvedProtocol) -> list[tuple[str, Record]]:
    records = generate(
        vocabulary_of(protocol),
        seed=_count(protocol, "prompts.seed"),
        draws=_count(protocol, "prompts.draws"),
    )
    return [(f"{number:05d}", record) for number, record in enumerate(records)]


def _count(protocol: ResolvedProtocol, key: str) -> int:
    value = protocol.value(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UserError(
            f"expected a whole number of 0 or more for {key}, found {value!r}, in protocol {protocol.name}; "
            "fix: set it as the official protocol does"
        )
    return value


def _part(protocol: ResolvedProtocol, vocabulary: Vocabulary) -> str:
    part = str(protocol.value("prompts.part", "all"))
    if part not in PARTS:
        raise unknown("prompts.part", part, PARTS)
    if part != "all" and vocabulary is not TABLETOP:
        raise UserError(
            f"expected prompts.part = all, found {part!r}, in protocol {protocol.name}: only the tabletop "
            "prompts are divided into dev and test; fix: leave prompts.part out"
        )
    return part


def _belongs(record: Record, part: str) -> bool:
    if part == "all" or record["tag"] in UNDIVIDED:
        return True
    return prompt_split(record["prompt"]) == part


def _split(record: Record) -> str:
    return "unseen" if is_unseen_prompt(record) else "seen"
