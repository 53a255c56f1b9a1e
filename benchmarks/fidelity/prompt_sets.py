"""Whose prompts are asked: those of the embedded world, of MJHQ-30K, of COCO, or none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.geneval import prompt_set
from lumina_eval.assets.catalogue import fetched
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

_ASSETS: Final = Path(__file__).with_name("assets.toml")


def items_of(protocol: ResolvedProtocol) -> list[Item]:
    """Return the prompts of the protocol in their order.

    Raises UserError where there are none, or the file with them was not fetched.
    """
    source = str(protocol.value("prompts.source", "none"))
    if source not in _SOURCES:
        raise unknown(f"prompts.source in protocol {protocol.name}:", source, _SOURCES)
    return _SOURCES[source](protocol)


def with_wrong_captions(items: Sequence[Item]) -> list[Item]:
    """Give each item the prompt of the next one of its task, around in a circle, as its wrong caption.

    A task of which all prompts are the same has none.
    """
    by_task: dict[str, list[str]] = {}
    for item in items:
        by_task.setdefault(item.task, []).append(item.prompt)
    turn = {task: _next_other(prompts) for task, prompts in by_task.items()}
    return [
        item.model_copy(update={"metadata": {"wrong_caption": turn[item.task].get(item.prompt)}})
        for item in items
    ]


def _next_other(prompts: Sequence[str]) -> dict[str, str]:
    different = list(dict.fromkeys(prompts))
    if len(different) < 2:
        return {}
    return dict(zip(different, [*different[1:], different[0]], strict=True))


def _of_geneval(protocol: ResolvedProtocol) -> list[Item]:
    return with_wrong_captions(prompt_set.items_of(protocol))


def _of_mjhq(protocol: ResolvedProtocol) -> list[Item]:
    """``meta_data.json``: id to category and prompt; the task is the category."""
    file = _file(protocol)
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        items = [
            Item(id=str(key), prompt=str(one["prompt"]), task=str(one["category"]))
            for key, one in records.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"expected an object of ids, each with category and prompt, found {error!r}, in {file}; "
            f"fix: lumina-eval data fetch {protocol.value('prompts.asset')}"
        ) from error
    return _checked(items, file)


def _of_captions(protocol: ResolvedProtocol) -> list[Item]:
    """A CSV with a column of captions; the id is ``image_id``, else the place in the file.

    ``prompts.digest`` is that of the list, ids and captions in order. It holds for the fetched file: copies
    that differ in how lines end hold the same captions. A file of the user's own is whatever it is.
    """
    file = _file(protocol)
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"expected a CSV of captions, found {error}, in {file}; fix: fetch it anew"
        ) from error
    column = next((name for name in ("caption", "text", "prompt") if rows and name in rows[0]), None)
    if column is None:
        raise UserError(
            f"expected a column caption, text or prompt, found {list(rows[0]) if rows else 'no rows'}, in "
            f"{file}; fix: name another file"
        )
    items = [
        # A short row has None where a cell is missing.
        Item(id=row.get("image_id") or f"{place:05d}", prompt=(row[column] or "").strip(), task="all")
        for place, row in enumerate(rows)
    ]
    _checked(items, file)
    wanted = str(protocol.value("prompts.digest", ""))
    if wanted and not protocol.value("prompts.file", "") and (found := digest_of_prompts(items)) != wanted:
        raise UserError(
            f"expected the prompts of {protocol.name}, of digest {wanted}, found {len(items)} of digest "
            f"{found}, in {file}; fix: delete that file, then lumina-eval data fetch "
            f"{protocol.value('prompts.asset')}, or --set prompts.file=FILE for a list of your own"
        )
    return items


def digest_of_prompts(items: Sequence[Item]) -> str:
    """Return the sha256 of ids and prompts in order, as canonical JSON: [[id, prompt], …]."""
    return digest_of([[item.id, item.prompt] for item in items])


def _checked(items: list[Item], file: Path) -> list[Item]:
    """Return the items of a file; UserError for none, an empty prompt, an id twice or one that is no name."""
    if not items:
        raise UserError(f"expected prompts, found none, in {file}; fix: name another file")
    seen: set[str] = set()
    for item in items:
        if not item.prompt.strip():
            found = f"none for id {item.id!r}"
        elif item.id in seen:
            found = f"id {item.id!r} twice"
        elif item.id in ("", ".", "..") or set(item.id) & {"/", "\\", "\0"}:
            found = f"id {item.id!r}, which is no name of a folder"
        else:
            seen.add(item.id)
            continue
        raise UserError(f"expected a prompt for each id, found {found}, in {file}; fix: mend that line")
    return items


def _none(protocol: ResolvedProtocol) -> list[Item]:
    raise UserError(
        f"expected a protocol with prompts, found {protocol.name}, which compares images that are there; "
        "fix: lumina-eval judge fidelity --protocol folder --images DIR --reference DIR"
    )


def _file(protocol: ResolvedProtocol) -> Path:
    """Return the prompt file: the one that the protocol names, else the fetched asset."""
    if own := str(protocol.value("prompts.file", "")):
        return Path(own)
    name = str(protocol.value("prompts.asset"))
    found = fetched(_ASSETS, name)
    if found is None:
        raise UserError(
            f"expected the prompts of {protocol.name}, found none; fix: lumina-eval data fetch {name}, or "
            "--set prompts.file=FILE"
        )
    return found


_SOURCES: Final[dict[str, Callable[[ResolvedProtocol], list[Item]]]] = {
    "geneval": _of_geneval,
    "mjhq": _of_mjhq,
    "captions": _of_captions,
    "none": _none,
}
