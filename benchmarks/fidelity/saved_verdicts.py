"""Verdicts that were copied out of their run folder: features by image, of prompts of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from benchmarks.json_lines import objects_of
from lumina_eval.errors import UserError
from lumina_eval.records import Item, Verdict


def read(file: Path, known: Mapping[str, Item] | None) -> tuple[list[Item], list[Verdict]]:
    """Return the items and verdicts of a file; ``known`` are the prompts by id, None where there are none.

    Raises UserError for a line that is no verdict, an image twice, an id of no prompt, or no line at all.
    """
    verdicts: dict[tuple[str, int], Verdict] = {}
    items: dict[str, Item] = {}
    for number, value in objects_of(file):
        where = f"at {file}:{number}"
        try:
            verdict = Verdict.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(
                f"expected a verdict as in verdicts.jsonl of a run folder, found {first['msg'].lower()} "
                f"({'.'.join(map(str, first['loc']))}), {where}; fix: copy the file again"
            ) from error
        place = (verdict.item_id, verdict.index)
        if place in verdicts:
            raise UserError(
                f"expected each image once, found image {verdict.index} of item {verdict.item_id} twice, "
                f"{where}; fix: remove one of the lines"
            )
        if known is not None and verdict.item_id not in known:
            raise UserError(
                f"expected ids of the protocol's prompts, such as {next(iter(known), 'none')!r}, found "
                f"{verdict.item_id!r}, {where}; fix: name the protocol of the run, or give verdicts.jsonl "
                "within its run folder"
            )
        verdicts[place] = verdict
        items[verdict.item_id] = (
            Item(id=verdict.item_id, prompt="", task="all") if known is None else known[verdict.item_id]
        )
    if not verdicts:
        raise UserError(f"expected verdicts, found none, in {file}; fix: name another file")
    return list(items.values()), list(verdicts.values())
