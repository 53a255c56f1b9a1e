"""The prompts that a checkpoint does worst on, and those that changed most between the first and the last."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from lumina_eval.records import Score
from reports.gallery import is_binary
from reports.groups import Group
from reports.loading import RunView
from reports.numbers import counted, digits, fixed, signed

#: Prompts in one list.
LISTED: Final = 5

Kind = Literal["lowest", "gains", "losses"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A prompt with its mean over the images of one checkpoint, or over those of two."""

    item_id: str
    prompt: str
    value: str
    counts: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """Prompts in order, the most extreme first; ``note`` says how many more are like the last one."""

    kind: Kind
    title: str
    entries: tuple[Entry, ...]
    note: str


def listings(group: Group) -> tuple[Listing, ...]:
    """Return the lists of a group: the lowest prompts of each milestone, the last first; gains and losses.

    Prompts are ranked by the mean over their images; ties by id. One that is right in all images is not low.
    There is no list where scores belong to no single prompt (distances between sets of images).
    """
    runs = [run for run in group.milestones if any(score.item_id in run.items for score in run.scores)]
    made = [_lowest(group, run) for run in reversed(runs)]
    if len(runs) > 1:
        made += _changes(group, runs[0], runs[-1])
    return tuple(one for one in made if one.entries)


def means(scores: Sequence[Score]) -> dict[str, tuple[float, int, int]]:
    """Return (mean, images, images with the full score) of each prompt."""
    values: dict[str, list[float]] = {}
    for score in scores:
        values.setdefault(score.item_id, []).append(score.value)
    return {name: (sum(v) / len(v), len(v), sum(x >= 1 for x in v)) for name, v in values.items()}


def _lowest(group: Group, run: RunView) -> Listing:
    found = {name: mean for name, mean in means(run.scores).items() if name in run.items}
    binary, places = is_binary(run.scores), digits(group.unit)
    wrong = (name for name, (_, images, right) in found.items() if not binary or right < images)
    ranked = sorted(wrong, key=lambda name: (found[name][0], name))[:LISTED]
    entries = []
    for name in ranked:
        mean, images, right = found[name]
        counts = f"{right} of {images} right" if binary else counted(images, "image")
        entries.append(Entry(name, run.items[name].prompt, fixed(mean, places), counts))
    alike = sum(mean[0] == found[ranked[-1]][0] for mean in found.values()) if ranked else 0
    return Listing("lowest", f"Lowest: {group.label(run)}", tuple(entries), _alike(alike, ranked, found))


def _changes(group: Group, first: RunView, last: RunView) -> list[Listing]:
    before, after = means(first.scores), means(last.scores)
    change = {n: after[n][0] - before[n][0] for n in before if n in after and n in last.items}
    between = f"{group.label(first)} → {group.label(last)}"
    told: tuple[tuple[Kind, str, int], ...] = (
        ("gains", "Largest gains", 1),
        ("losses", "Largest losses", -1),
    )
    made = []
    for kind, title, sign in told:
        ranked = sorted((n for n in change if sign * change[n] > 0), key=lambda n: (-sign * change[n], n))
        entries = tuple(
            _changed(n, last.items[n].prompt, before[n], after[n], digits(group.unit))
            for n in ranked[:LISTED]
        )
        made.append(Listing(kind, f"{title}: {between}", entries, f"{len(ranked)} prompts of {len(change)}"))
    return made


def _changed(
    name: str, prompt: str, before: tuple[float, int, int], after: tuple[float, int, int], places: int
) -> Entry:
    counts = f"{fixed(before[0], places)} → {fixed(after[0], places)}, {counted(after[1], 'image')}"
    return Entry(name, prompt, signed(after[0] - before[0], places), counts)


def _alike(alike: int, ranked: Sequence[str], found: Mapping[str, object]) -> str:
    if alike <= 1:
        return f"{len(ranked)} of {len(found)} prompts"
    return f"{len(ranked)} of {len(found)} prompts; {alike} share the last value, ordered by id"
