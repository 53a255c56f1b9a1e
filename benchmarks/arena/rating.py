"""A reading rated: all of its votes, each category by itself, and what a reader of the ratings must know."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings.aggregate import columns
from benchmarks.arena.ratings.estimate import rate
from benchmarks.arena.ratings.results import Choices, Rated, Warn
from benchmarks.arena.ratings.style import controlled_rate
from benchmarks.arena.readers.reading import Reading
from lumina_eval.errors import unknown


def rate_reading(
    reading: Reading, choices: Choices, only: Sequence[str] = (), by_category: bool = False
) -> dict[str, Rated]:
    """Rate all votes, or those of the categories ``only``, under the empty key; by category under its name.

    Elo goes by time where every vote has one. Features that were read are controlled for.
    Raises UserError as :func:`benchmarks.arena.ratings.estimate.rate`, and for an unknown category.
    """
    battles = reading.battles
    names = {each.category for each in battles if each.category is not None}
    for name in only:
        if name not in names:
            raise unknown("category", name, names)
    keep = [i for i, each in enumerate(battles) if not only or each.category in only]
    timed = all(battles[i].time is not None for i in keep)
    if choices.method == "elo" and timed:
        keep.sort(key=lambda i: battles[i].time or 0.0)

    def one(places: list[int]) -> Rated:
        votes = columns([battles[i] for i in places])
        if not reading.features:
            return rate(votes, choices)
        return controlled_rate(votes, np.array([reading.features[i] for i in places]), choices)

    whole = one(keep)
    said = (*whole.warnings, *_of_reading(reading), *_of_method([battles[i] for i in keep], choices, timed))
    found = {"": dataclasses.replace(whole, warnings=said)}
    for name in sorted(names) if by_category else ():
        found[name] = one([i for i in keep if battles[i].category == name])
    return found


def _of_reading(reading: Reading) -> list[Warn]:
    found = []
    if reading.skipped:
        text = f"bad rows left out: {reading.skipped}; the first: {reading.first_skipped}"
        found.append(Warn("skipped", (), text))
    if reading.named:
        text = f"votes left out whose voter saw the names: {reading.named}; --with-named keeps them"
        found.append(Warn("named", (), text))
    return found


def _of_method(battles: list[Battle], choices: Choices, timed: bool) -> list[Warn]:
    found = []
    if choices.method == "elo" and not timed:
        text = "not every vote has a time: Elo goes by the order of the file"
        found.append(Warn("no-time", (), text))
    whole = all(each.weight == 1.0 and each.outcome in (0.0, 0.5, 1.0) for each in battles)
    if choices.tool == "fastchat" and choices.method != "elo" and not whole:
        text = "FastChat knows no weights and no shares: each vote counts once, to the side with more"
        found.append(Warn("weights", (), text))
    return found
