"""Questions and published answers of DSG-1k, and what they add up to by a way of its own.

DPG-Bench's scoring descends from DSG's, and the columns are the same. The sums here are made from the
definition of a fulfilled question, not by walking over scores as the rules do; no code is shared with them.
Read: j-min/DSG at 7330119a, ``dsg/vqa_utils.py`` and its README.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError

#: The model whose images all of DSG-1k's questions were answered for.
IMAGES_OF: Final = "sd2dot1"
#: DSG's groups of prompts by what stands in the item id (``get_data_category``).
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "tifa": ("tifa",),
    "paragraph": ("stanford", "localized"),
    "relation": ("vrd",),
    "count": ("countbench",),
    "real_user": ("diffusion", "midjourney"),
    "pose": ("posescript",),
    "defying": ("whoops",),
    "text": ("drawtext",),
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """One question of an item with its answer."""

    id: int
    parents: tuple[int, ...]
    tuple: str
    answer: str


def read_answered(questions: Path, answers: Path) -> dict[str, list[Asked]]:
    """Return every item of DSG-1k with its answered questions, in the order of the question file.

    As in DSG's code: an item with a dependency that is no list of numbers has none at all, and an item
    without answers has all of its questions unanswered (one item of the release).

    Raises UserError for a file of something else: a column missing, an id that is no number, an item of none
    of DSG's groups.
    """
    given: dict[str, dict[int, str]] = {}
    for where, row in _rows(answers, ("item_id", "question_id", "t2i_model", "answer")):
        if row["t2i_model"] == IMAGES_OF:
            given.setdefault(row["item_id"], {})[_number(row, "question_id", where)] = row["answer"]
    items: dict[str, list[Asked]] = {}
    malformed = set()
    for where, row in _rows(questions, ("item_id", "proposition_id", "dependency", "tuple")):
        item, number = row["item_id"], _number(row, "proposition_id", where)
        _check_group(item, where)
        parts = [part.strip() for part in row["dependency"].split(",")]
        if not all(part.isdigit() for part in parts):
            malformed.add(item)
            parts = []
        asked = items.setdefault(item, [])
        if item not in given or number in given[item]:
            parents = tuple(int(part) for part in parts if int(part) != 0)
            asked.append(Asked(number, parents, row["tuple"], given.get(item, {}).get(number, "")))
    for item in malformed:
        items[item] = [dataclasses.replace(one, parents=()) for one in items[item]]
    return items


def group_of(item_id: str) -> str:
    """Return DSG's group of a prompt; StopIteration if it is of none, which :func:`read_answered` refuses."""
    return next(name for name, words in GROUPS.items() if any(word in item_id for word in words))


def share_fulfilled(asked: Sequence[Asked], in_place: bool) -> float:
    """Return the share of an item's questions that are fulfilled.

    A question is if its answer is yes and its parents hold. In DSG a parent holds if its answer is yes. In
    DPG-Bench (``in_place``) one that comes earlier holds if it is itself fulfilled.
    """
    order = {one.id: place for place, one in enumerate(asked)}

    def is_yes(number: int) -> bool:
        return number not in order or asked[order[number]].answer == "yes"

    def is_fulfilled(place: int) -> bool:
        return is_yes(asked[place].id) and all(
            is_fulfilled(order[parent]) if in_place and order.get(parent, place) < place else is_yes(parent)
            for parent in asked[place].parents
        )

    return sum(is_fulfilled(place) for place in range(len(asked))) / len(asked)


def _number(row: Mapping[str, str], column: str, where: str) -> int:
    text = row[column].strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UserError(
            f"{where}, {column}: expected a number, found {row[column]!r}; fix: download the file anew"
        )
    return int(text)


def _check_group(item_id: str, where: str) -> None:
    if not any(word in item_id for words in GROUPS.values() for word in words):
        raise UserError(
            f"{where}, item_id: expected an item of one of DSG's groups ({', '.join(GROUPS)}), found "
            f"{item_id!r}; fix: give the file of DSG's release"
        )


def _rows(file: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the rows, each with the file and the line where it ends."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            rows = [(f"{file}:{reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {file}: {error}; fix: download the file anew") from error
    missing = [name for name in columns if not rows or name not in rows[0][1]]
    if missing:
        raise UserError(
            f"expected the columns {', '.join(columns)}, found no {', '.join(missing)}, in {file}; "
            "fix: give the file of DSG's release"
        )
    return rows
