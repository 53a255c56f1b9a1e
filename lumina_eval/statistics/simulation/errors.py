"""Error rates of the sign-flip test where there is no difference: of one test, and of families of tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from lumina_eval.statistics.clusters import Floats
from lumina_eval.statistics.sign_flip import holm, sign_flip
from lumina_eval.statistics.simulation.pairs import Pair
from lumina_eval.statistics.simulation.worlds import GENEVAL_MEANS, GENEVAL_PROMPTS, World, blocks, generator

FLIPS: Final = 999
"""Fewer than a comparison draws; p is as true with any number, only coarser."""
CHECKPOINTS: Final = 5

_SIX: Final = World("six tasks of 15", (0.9, 0.87, 0.67, 0.88, 0.3, 0.5), (15,) * 6)
PAIRS: Final = (
    Pair("GenEval, 553 prompts", World("GenEval", GENEVAL_MEANS, GENEVAL_PROMPTS), 0.5, 0.0),
    Pair(
        "GenEval, 3 % of prompts redrawn",
        World("GenEval", GENEVAL_MEANS, GENEVAL_PROMPTS),
        0.97,
        0.0,
        "copied",
    ),
    Pair("six tasks of 15", _SIX, 0.5, 0.0),
    Pair("one task of 15 at 0.80", World("15", (0.8,), (15,)), 0.5, 0.0),
    Pair("one task of 80 at 0.50, one image", World("80", (0.5,), (80,), (1,)), 0.5, 0.0),
)
HEAD: Final = ("world", "p ≤ 0.01", "p ≤ 0.05", "p ≤ 0.10", "p ≤ 0.25", "p ≤ 0.50")
FAMILY_HEAD: Final = ("family", "without correction", "corrected")


def row(pair: Pair, runs: int) -> tuple[str, ...]:
    """Share of p values at or below some, which should be these themselves."""
    rng, world = generator(pair.name), pair.world
    share = np.full(len(world.means), 1 / len(world.means))
    p = np.concatenate(
        [
            sign_flip(pair.differences(block, rng), world.stratum, share, FLIPS, int(rng.integers(2**31))).p
            for block in blocks(runs)
        ]
    )
    return (pair.name, *(f"{np.mean(p <= at + 1e-9):.3f}" for at in (0.01, 0.05, 0.1, 0.25, 0.5)))


def rows(runs: int) -> Iterator[tuple[str, ...]]:
    """All pairs."""
    for pair in PAIRS:
        yield row(pair, runs)


def families(runs: int) -> Iterator[tuple[str, ...]]:
    """Share of families with any p value at or below 0.05."""
    yield _holm(runs)
    yield _max_t(runs)


def _holm(runs: int) -> tuple[str, ...]:
    pair = Pair("six categories", World("GenEval", GENEVAL_MEANS, GENEVAL_PROMPTS), 0.5, 0.0)
    rng = generator("Holm")
    single, corrected = 0, 0
    for block in blocks(runs):
        d, stratum = pair.differences(block, rng), pair.world.stratum
        p: Floats = np.stack(
            [
                sign_flip(
                    d[:, stratum == h],
                    np.zeros(np.sum(stratum == h), int),
                    [1.0],
                    FLIPS,
                    int(rng.integers(2**31)),
                ).p
                for h in range(6)
            ],
            axis=1,
        )  # (block, 6)
        single += int(np.count_nonzero(p.min(axis=1) <= 0.05))
        corrected += sum(min(holm(list(one))) <= 0.05 for one in p)
    return ("GenEval's six categories, Holm", f"{single / runs:.3f}", f"{corrected / runs:.3f}")


def _max_t(runs: int) -> tuple[str, ...]:
    rng = generator("max-T")
    share = np.full(6, 1 / 6)
    single, corrected = 0, 0
    for block in blocks(runs):
        chances = _SIX.chances(block, rng)
        base, *others = (_SIX.scores(chances, rng).mean(axis=-1) for _ in range(CHECKPOINTS + 1))
        d = np.stack([other - base for other in others], axis=1)  # (block, 5, P)
        for family in d:
            found = sign_flip(family, _SIX.stratum, share, FLIPS, int(rng.integers(2**31)))
            single += bool(found.p.min() <= 0.05)
            corrected += bool(found.p_max.min() <= 0.05)
    name = f"{CHECKPOINTS} checkpoints against one, six tasks of 15, max-T"
    return (name, f"{single / runs:.3f}", f"{corrected / runs:.3f}")
