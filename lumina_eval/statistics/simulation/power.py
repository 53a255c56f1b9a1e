"""Whether a plan keeps its word: the power that it predicts, and the one that is found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from lumina_eval.records import Score
from lumina_eval.statistics.clusters import Floats
from lumina_eval.statistics.components import Components, of_pair
from lumina_eval.statistics.difference import mean_difference
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.planning import plan
from lumina_eval.statistics.sign_flip import sign_flip
from lumina_eval.statistics.simulation.errors import FLIPS
from lumina_eval.statistics.simulation.pairs import Pair
from lumina_eval.statistics.simulation.worlds import World, blocks, generator

EFFECT: Final = 0.05
PILOT: Final = 4000
"""Prompts per task of the runs that the plan is made from: so many that variances are as good as known."""
_WORLD: Final = World("plan", (0.75, 0.5, 0.3), (PILOT,) * 3)
HEAD: Final = (
    "images per prompt", "prompts planned", "power planned", "test sees 0.05", "interval sees 0.05",
    "equal one passes at margin 0.05",
)  # fmt: skip


def rows(runs: int) -> Iterator[tuple[str, ...]]:
    """Plan for a difference of 0.05 with power 0.8, and look what comes of it."""
    found = plan(EFFECT, _components(), images_per_prompt=(1, 2, 4, 8))
    for one in found.rows:
        per_task = math.ceil(one.prompts / 3)
        world = dataclasses.replace(_WORLD, prompts=(per_task,) * 3, images=(one.images_per_prompt,))
        rng = generator(f"power {one.images_per_prompt}")
        share, seen, shown, passed = np.full(3, 1 / 3), 0, 0, 0
        for block in blocks(runs):
            d = Pair("better", world, 0.5, EFFECT).differences(block, rng)
            p = sign_flip(d, world.stratum, share, FLIPS, int(rng.integers(2**31))).p
            seen += int(np.count_nonzero(p <= 0.05))
            shown += int(np.count_nonzero(mean_difference(d, world.stratum).low > 0))
            same = Pair("equal", world, 0.5, 0.0).differences(block, rng)
            passed += int(np.count_nonzero(mean_difference(same, world.stratum).low > -EFFECT))
        shares = (f"{count / runs:.3f}" for count in (seen, shown, passed))
        yield (f"{one.images_per_prompt}", f"{3 * per_task:,}", f"{found.power:.3f}", *shares)


def _components() -> Components:
    before, after = Pair("pilot", _WORLD, 0.5, EFFECT).scores(1, generator("pilot"))
    return of_pair(_records(before[0]), _records(after[0]), Endpoint())


def _records(scores: Floats) -> list[Score]:
    return [
        Score(item_id=f"{p:05d}", task=f"{task}", index=k, value=float(value))
        for p, (task, images) in enumerate(zip(_WORLD.stratum, scores, strict=True))
        for k, value in enumerate(images)
    ]
