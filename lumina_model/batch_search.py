"""How many images to draw at once: sizes double while that pays and the next one fits.

The decisions are arithmetic on trials; who makes these is elsewhere (`batch_probe.py`), and no torch is
needed here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

MOST = 256
"""No larger size is tried: an interrupted run makes up to one batch twice."""

MOST_UNTOLD = 16
"""No larger size is tried where the device does not tell its memory."""

WORTH = 1.05
"""A batch twice as large must bring this many times the images a second to be taken."""

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

    Where a doubling does not pay, both sizes are drawn once more and the faster time of each counts: a pause
    of a busy machine shall not decide it.

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
            if len(trials) > 1 and not _pays(trials[-1], trials[-2]):
                trials[-2:] = [_again(one, measure(one.size)) for one in trials[-2:]]
            why = ending(trials, free, most)
    return Search(tuple(trials), choice(trials, free), why)


def ending(trials: Sequence[Trial], free: int | None, most: int = MOST) -> str | None:
    """Say why nothing larger than the last trial is to be tried; None to go on with twice its size."""
    last, size = trials[-1], 2 * trials[-1].size
    if len(trials) > 1 and not _pays(last, trials[-2]):
        gain = last.images_per_second / trials[-2].images_per_second - 1
        return f"{last.size} bring {gain:+.1%} images a second, less than {WORTH - 1:.0%} more"
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
    """Return the size to take: the largest up to which each doubling fits and pays; 1 if there is none."""
    room = float("inf") if free is None else (1 - MARGIN) * free
    best: Trial | None = None
    for trial in trials:
        if (trial.memory or 0) > room or (best is not None and not _pays(trial, best)):
            break
        best = trial
    return best.size if best else 1


def _again(first: Trial, second: Trial | None) -> Trial:
    if second is None:
        return first
    known = [one.memory for one in (first, second) if one.memory is not None]
    speed = max(first.images_per_second, second.images_per_second)
    return replace(first, images_per_second=speed, memory=max(known, default=None))


def _pays(larger: Trial, smaller: Trial) -> bool:
    return larger.images_per_second >= WORTH * smaller.images_per_second


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
