"""How many images to draw at once: sizes double while that pays and the next one fits.

The decisions are arithmetic on trials; who makes these is elsewhere (`batch_probe.py`), and no torch is
needed here.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 256
"""No larger size is tried: an interrupted run makes up to one batch twice."""

MOST_UNTOLD = 16
"""No larger size is tried where the device does not tell its memory."""

WORTH = 1.05
"""A larger batch must bring this many times the images a second to be taken."""

FLAT = 2
"""So many doublings one after the other that bring less end the search. Not one: speed over the batch has
steps (docs/efficiency.md, how cost grows: from 4 images to 8 it rises by 4 %, from 4 to 16 by 23 %), and a
busy machine pauses."""

MARGIN = 0.1
"""Share of the free memory that is left: allocators do not fill it to the last byte."""

PATIENCE = 30.0
"""Seconds of a trial after which no larger one is tried, for it would take longer still."""


@dataclass(frozen=True)
class Trial:
    """A batch that was drawn.

    Attributes:
        size: images.
        images_per_second: above 0.
        memory: bytes that it took at most, beside what is held without any batch; None if unknown.
        seconds: that the trial took.
    """

    size: int
    images_per_second: float
    memory: int | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Search:
    """The sizes that were tried, in rising order, the one to take, and why no larger one was tried."""

    trials: tuple[Trial, ...]
    size: int
    why: str

    def record(self) -> dict[str, Any]:
        """Return it as JSON values, as the harness asks for them; None is kept where memory is unknown."""
        return {
            "batch_size": self.size,
            "images_per_second": {str(one.size): one.images_per_second for one in self.trials},
            "memory_bytes": {str(one.size): one.memory for one in self.trials},
            "why": self.why,
        }


def search(measure: Callable[[int], Trial | None], free: int | None, most: int = MOST) -> Search:
    """Try 1, 2, 4, … images.

    Args:
        measure: draws a batch of so many images; None if it did not fit.
        free: bytes that a batch may take; None if unknown.
        most: images, at least 1.
    """
    trials: list[Trial] = []
    why: str | None = None
    while why is None:
        size = 2 ** len(trials)
        trial = measure(size)
        if trial is None:
            why = f"{size} did not fit in memory"
        else:
            trials.append(trial)
            why = ending(trials, free, most)
    return Search(tuple(trials), choice(trials, free), why)


def ending(trials: Sequence[Trial], free: int | None, most: int = MOST) -> str | None:
    """Say why nothing larger than the last trial is to be tried; None to go on with twice its size."""
    last, size, best = trials[-1], 2 * trials[-1].size, _best(trials)
    if len(trials) - best > FLAT:
        return (
            f"up to {last.size} bring less than {WORTH - 1:.0%} more images a second than {trials[best].size}"
        )
    if size > most:
        return f"{most} is the limit"
    if last.seconds > PATIENCE:
        return f"a trial of {size} would take more than {PATIENCE:.0f} s"
    needed = expected_memory(trials)
    if needed is None or free is None:
        return (
            None if size <= MOST_UNTOLD else f"the device does not tell its memory, so not above {last.size}"
        )
    if needed > (1 - MARGIN) * free:
        return f"{size} would take {_gib(needed)}, {MARGIN:.0%} are to be left of {_gib(free)}"
    return None


def expected_memory(trials: Sequence[Trial]) -> int | None:
    """Return the bytes that twice the last size takes: the line through the last two trials.

    Of one trial all of its memory is taken to grow with the batch, which is the worst case. No line falls.
    """
    last = trials[-1].memory
    before = trials[-2].memory if len(trials) > 1 else 0
    if last is None or before is None:
        return None
    grown = trials[-1].size - (trials[-2].size if len(trials) > 1 else 0)
    return last + max(0, last - before) * trials[-1].size // grown


def choice(trials: Sequence[Trial], free: int | None) -> int:
    """Return the size to take: the largest that fits and pays beside all smaller ones; 1 if none fits."""
    room = float("inf") if free is None else (1 - MARGIN) * free
    fitting = list(itertools.takewhile(lambda one: (one.memory or 0) <= room, trials))
    return fitting[_best(fitting)].size if fitting else 1


def _best(trials: Sequence[Trial]) -> int:
    """Return the place of the last trial that pays beside the one before that did."""
    best = 0
    for place, trial in enumerate(trials[1:], 1):
        if place - best > FLAT:
            break
        if trial.images_per_second >= WORTH * trials[best].images_per_second:
            best = place
    return best


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
