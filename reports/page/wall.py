"""The wall of images: a row for each prompt and its noise, a column for each checkpoint.

What stands in it is chosen here; what a row looks like, and which rows are in sight, is the page's business
(``gallery.js``). A place without an image says why.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from lumina_eval.records import Item
from reports.gallery import MOST_RUNS
from reports.groups import Group
from reports.page.choice import Place, places_of, sample
from reports.page.column import Column
from reports.page.embedded import EmbeddedImages
from reports.page.extremes import Listing, listings
from reports.stored import StoredImages

#: Images of a listed prompt that are in the page beside the sample.
PER_LISTED: Final = 2

#: Rows with a failed image that are in the page beside the sample.
FAILED_SHOWN: Final = 12


@dataclasses.dataclass(frozen=True)
class Wall:
    """Columns, tasks and lists for the page, and the rest as JSON values for its script.

    ``rows`` are objects with ``prompt`` (a place in ``prompts``), ``index``, ``sets`` (which choices the row
    is part of) and ``tiles``, one a column: ``state`` (right or wrong; upper or lower where scores are no
    verdicts; none), ``said``, ``reason``, ``image`` and ``marks`` (places in ``images``, or null) and ``why``
    (there is no image).
    """

    columns: tuple[str, ...]
    tasks: tuple[str, ...]
    states: tuple[str, str]
    sets: tuple[tuple[str, int], ...]
    listings: tuple[Listing, ...]
    prompts: list[dict[str, str]]
    rows: list[dict[str, Any]]
    images: list[str]
    absent: int

    @property
    def shown(self) -> int:
        """How many images there are to see."""
        return sum(tile["image"] is not None for row in self.rows for tile in row["tiles"])

    @property
    def marked(self) -> bool:
        """True if what the judge saw is drawn over any image."""
        return any(tile["marks"] is not None for row in self.rows for tile in row["tiles"])


def wall(group: Group, stored: StoredImages, how_many: int | None = None) -> Wall:
    """Build the wall of a group; ``how_many`` images a checkpoint, None for six of each task, 0 for all."""
    runs = (*group.milestones[-MOST_RUNS:], *group.ceilings[-MOST_RUNS:])
    columns = [Column.of(run, group.label(run)) for run in runs]
    decisive = (columns[: len(group.milestones[-MOST_RUNS:])] or columns)[-1]
    places, found = places_of(runs), listings(group)
    sets: dict[str, set[Place]] = {"sample": set(sample(places, decisive.scores, how_many))}
    for one in found:
        listed = {entry.item_id for entry in one.entries}
        sets.setdefault(one.kind, set()).update(p for p in places if p[0] in listed and p[1] < PER_LISTED)
    failed = [place for place in places if any(place in run.failures for run in runs)]
    if failed:
        sets["failed"] = set(failed[:FAILED_SHOWN])
    embedded, prompts = EmbeddedImages(), dict[str, int]()
    rows: list[dict[str, Any]] = []
    for place, item in places.items():
        within = [name for name, members in sets.items() if place in members]
        if within:
            rows.append(
                {
                    "prompt": prompts.setdefault(place[0], len(prompts)),
                    "index": place[1],
                    "sets": within,
                    "tiles": [column.tile(place, item, stored, embedded) for column in columns],
                }
            )
    told = [
        _prompt(name, next((run.items[name] for run in runs if name in run.items), None)) for name in prompts
    ]
    return Wall(
        columns=tuple(column.label for column in columns),
        tasks=tuple(dict.fromkeys(one["task"] for one in told)),
        states=decisive.states,
        sets=tuple((name, sum(name in row["sets"] for row in rows)) for name in sets),
        listings=found,
        prompts=told,
        rows=rows,
        images=embedded.uris,
        absent=sum(tile["image"] is None for row in rows for tile in row["tiles"]),
    )


def _prompt(name: str, item: Item | None) -> dict[str, str]:
    text = (item.prompt, item.task) if item else (name, "")
    return {"id": name, "text": text[0], "task": text[1]}
