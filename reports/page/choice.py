"""Which rows the wall shows: a balanced sample of each task, or everything.

A row is a place, (item id, index): the same prompt and the same noise for every checkpoint. The sample is
drawn by hash, half of it right and half of it wrong for the last checkpoint: no one picked the pretty ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lumina_eval.records import Item, Score
from reports.gallery import PER_TASK, choose
from reports.loading import RunView

Place = tuple[str, int]


def places_of(runs: Sequence[RunView]) -> dict[Place, Item | None]:
    """Return every image asked of any of the runs, in the order of the benchmark, with its prompt."""
    items: dict[str, Item] = {}
    found: dict[Place, None] = {}
    for run in runs:
        items |= {name: item for name, item in run.items.items() if name not in items}
        found |= dict.fromkeys(run.keys)
        found |= dict.fromkeys((verdict.item_id, verdict.index) for verdict in run.verdicts)
        found |= dict.fromkeys(run.failures)
    order = {name: place for place, name in enumerate(items)}
    tasks = {task: place for place, task in enumerate(dict.fromkeys(item.task for item in items.values()))}

    def rank(place: Place) -> tuple[int, int, str, int]:
        item = items.get(place[0])
        task = tasks[item.task] if item else len(tasks)
        return (task, order.get(place[0], len(order)), *place)

    return {place: items.get(place[0]) for place in sorted(found, key=rank)}


def sample(
    places: Mapping[Place, Item | None], scores: Mapping[Place, Score], how_many: int | None
) -> list[Place]:
    """Choose rows, an equal share of each task, in the order of ``places``.

    ``how_many`` rows in all; None is six of each task, 0 is everything. Images without a score of their own
    come after those with one, or are drawn by hash where none has one.
    """
    if how_many == 0:
        return list(places)
    tasks: dict[str, list[Score]] = {}
    unscored: dict[str, list[Score]] = {}
    for place, item in places.items():
        task = item.task if item else ""
        blank = Score(item_id=place[0], task=task, index=place[1], value=0.0)
        (tasks if place in scores else unscored).setdefault(task, []).append(scores.get(place, blank))
    chosen: set[Place] = set()
    names = list(dict.fromkeys([*tasks, *unscored]))
    for at, task in enumerate(names):
        wanted = PER_TASK if how_many is None else how_many // len(names) + (at < how_many % len(names))
        drawn = choose(tasks[task], wanted) if tasks.get(task) else []
        if wanted > len(drawn) and unscored.get(task):
            drawn += choose(unscored[task], wanted - len(drawn))
        chosen |= {(score.item_id, score.index) for score, _ in drawn}
    return [place for place in places if place in chosen]
