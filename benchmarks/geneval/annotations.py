"""What people said about GenEval's published images: five answers to each of 400 images of a model.

Tables ``annotations_*.csv`` of djghosh13/geneval at af4902f2, questions in ``mturk_hit_template.html`` there.
A person was not asked whether the image is right but how many of each object there are (5 is "5 or more"),
of which colours (all that apply), and where the second object stands, seen from the first. Whether the image
is right follows from these answers by the clauses of its prompt, as in the rules for the judge:

- each object is there as often as asked, and not as often as excluded;
- the colour asked for is among those named;
- the position asked for is among the two that were named.

The objects of a row are the clauses of the prompt in their order.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lumina_eval.errors import UserError
from lumina_eval.records import Item

_PROMPT: Final = "Input.prompt_id"
_IMAGE: Final = "Input.image_id"
_CAPTION: Final = "Input.caption"
_COLUMNS: Final = (
    _PROMPT, _IMAGE, _CAPTION, "Answer.task-count-0", "Answer.task-count-1", "Answer.task-color-0",
    "Answer.task-color-1", "Answer.task-position-x", "Answer.task-position-y",
)  # fmt: skip

Place = tuple[str, int]
"""Item id, and number of the image among the item's."""


@dataclasses.dataclass(frozen=True)
class Annotations:
    """Votes on whether an image is right, by image."""

    votes: Mapping[Place, tuple[bool, ...]]
    unusable: int
    """Rows left out: of no prompt, or without a count."""

    def majority(self) -> dict[Place, bool]:
        """Return what more than half of an image's raters say; an image with a tie is left out."""
        return {
            place: 2 * sum(votes) > len(votes)
            for place, votes in self.votes.items()
            if 2 * sum(votes) != len(votes)
        }

    def agreement(self) -> float | None:
        """Share of pairs of raters of one image who say the same; None if no image has two raters."""
        pairs = [a == b for votes in self.votes.values() for a, b in itertools.combinations(votes, 2)]
        return sum(pairs) / len(pairs) if pairs else None


def read_annotations(file: Path, items: Mapping[str, Item]) -> Annotations:
    """Read a table; ``items`` are the official prompts by id.

    A row whose caption is not that of its prompt is unusable (four rows of IF-XL are shifted). Raises
    UserError for a table without the columns, or without a usable row.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"cannot read the annotations {file}: {error}; fix: download the file anew"
        ) from error
    missing = [name for name in _COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UserError(
            f"expected the columns {', '.join(_COLUMNS)}, found no {', '.join(missing)}, in {file}; "
            "fix: give a table of GenEval's annotations"
        )
    votes: dict[Place, tuple[bool, ...]] = {}
    unusable = 0
    for row in rows:
        item = items.get(row[_PROMPT].zfill(5))
        vote = None
        if item is not None and item.prompt == row[_CAPTION] and row[_IMAGE].isdigit():
            vote = _vote(row, item.metadata)
        if item is None or vote is None:
            unusable += 1
            continue
        place = (item.id, int(row[_IMAGE]))
        votes[place] = (*votes.get(place, ()), vote)
    if not votes:
        raise UserError(
            f"expected annotations of GenEval's prompts, found none, in {file}; "
            "fix: give a table of GenEval's annotations"
        )
    return Annotations(votes, unusable)


def _vote(row: Mapping[str, str], metadata: Mapping[str, Any]) -> bool | None:
    """Tell whether the image is right by this person's answers; None if a count is missing."""
    right = True
    for number, clause in enumerate(metadata["include"]):
        count = _count(row.get(f"Answer.task-count-{number}", ""))
        if count is None:
            return None
        excluded = [one["count"] for one in metadata.get("exclude", ()) if one["class"] == clause["class"]]
        right &= count >= clause["count"] and all(count < most for most in excluded)
        if "color" in clause:
            right &= clause["color"] in row[f"Answer.task-color-{number}"].split("|")
        if "position" in clause:
            asked = clause["position"][0].removesuffix(" of")
            right &= asked in (row["Answer.task-position-x"], row["Answer.task-position-y"])
    return right


def _count(cell: str) -> int | None:
    """Read ``2`` or ``2.0``."""
    return int(cell.split(".")[0]) if re.fullmatch(r"\d+(\.0)?", cell) else None
