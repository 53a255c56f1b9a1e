"""How often the interval of a difference holds the truth, and how often a gate errs by it.

A candidate that is worse by exactly the margin passes when its interval ends above the true difference, and
fails when it ends below: the two sides of the coverage are the error rates of the gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import stats

from lumina_eval.statistics.difference import mean_difference
from lumina_eval.statistics.simulation.pairs import Pair
from lumina_eval.statistics.simulation.worlds import GENEVAL_MEANS, GENEVAL_PROMPTS, World, blocks, generator

_GENEVAL: Final = World("GenEval", GENEVAL_MEANS, GENEVAL_PROMPTS)


def _one(mean: float, prompts: int, images: int = 4, agreement: float = 0.4) -> World:
    return World(f"{prompts} at {mean:.2f}", (mean,), (prompts,), (images,), agreement)


PAIRS: Final = (
    Pair("GenEval, no difference", _GENEVAL, 0.5, 0.0),
    Pair("GenEval, worse by 0.005", _GENEVAL, 0.5, -0.005),
    Pair("GenEval, 10 % of prompts redrawn, worse", _GENEVAL, 0.9, -0.005, "copied"),
    Pair("GenEval, 3 % of prompts redrawn", _GENEVAL, 0.97, 0.0, "copied"),
    Pair("six tasks of 15", World("15", (0.9, 0.87, 0.67, 0.88, 0.3, 0.5), (15,) * 6), 0.5, 0.0),
    Pair("one task of 15 at 0.50", _one(0.5, 15), 0.5, 0.0),
    Pair("one task of 80 at 0.50, worse by 0.1", _one(0.5, 80), 0.5, -0.1),
    Pair("one task of 80 at 0.50, one image", _one(0.5, 80, 1), 0.5, -0.1),
    Pair("one task of 80 at 0.95, worse by 0.02", _one(0.95, 80), 0.5, -0.02),
    Pair("553 at 0.70, 1 % lost, none gained", _one(0.7, 553), 0.0, -0.01, "lost"),
    Pair("553 at 0.90, 2 % lost, none gained", _one(0.9, 553, 4, 0.9), 0.0, -0.02, "lost"),
    Pair("80 at 0.70, 5 % lost, none gained", _one(0.7, 80), 0.0, -0.05, "lost"),
)
HEAD: Final = (
    "world", "difference", "covers", "passes at the margin", "fails at the margin",
    "Student's covers", "passes at the margin",
)  # fmt: skip


def row(pair: Pair, runs: int) -> tuple[str, ...]:
    """Simulate one pair."""
    rng, truth = generator(pair.name), pair.difference
    above, below, student_above, student_below = 0, 0, 0, 0
    for block in blocks(runs):
        found = mean_difference(pair.differences(block, rng), pair.world.stratum)
        above += int(np.count_nonzero(found.low > truth))
        below += int(np.count_nonzero(found.high < truth))
        half = stats.t.ppf(0.975, found.df) * np.sqrt(found.variance)
        half = np.where(found.alike, found.high - found.value, half)
        student_above += int(np.count_nonzero(found.value - half > truth))
        student_below += int(np.count_nonzero(found.value + half < truth))
    return (
        pair.name,
        f"{truth:+.3f}".replace("-", "−"),
        f"{1 - (above + below) / runs:.3f}",
        f"{above / runs:.3f}",
        f"{below / runs:.3f}",
        f"{1 - (student_above + student_below) / runs:.3f}",
        f"{student_above / runs:.3f}",
    )


def rows(runs: int) -> Iterator[tuple[str, ...]]:
    """All pairs."""
    for pair in PAIRS:
        yield row(pair, runs)
