"""How often the intervals of a pooled ratio hold the truth: hits over questions, as DPG-Bench has them.

A prompt has one to six questions of the category and four images. All images count, or only the last one, as
in the official protocol; the others then still say how much an image varies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from lumina_eval.statistics.clusters import Floats
from lumina_eval.statistics.ratios import Part, pooled_ratio
from lumina_eval.statistics.simulation.worlds import World, generator

IMAGES: Final = 4
MOST: Final = 6
"""Questions of a prompt."""
WORLDS: Final = tuple(
    World(f"{prompts} prompts at {mean:.2f}", (mean,), (prompts,))
    for prompts, mean in ((15, 0.6), (15, 0.9), (200, 0.9), (60, 0.98), (200, 0.98))
)
HEAD: Final = (
    "world",
    "`ci_prompts`, all count",
    "the last counts",
    "`ci_seeds`, all count",
    "the last counts",
)


def row(world: World, runs: int) -> tuple[str, ...]:
    """Simulate one world."""
    rng = generator(f"ratio {world.name}")
    held = np.zeros((2, 2))
    for run in range(runs):
        chance = world.chances(1, rng)[0]
        asked = rng.integers(1, MOST + 1, size=len(chance))
        hits = rng.binomial(asked[:, None], chance[:, None], size=(len(chance), IMAGES)).astype(float)
        here = float((asked * chance).sum() / asked.sum())
        for place, last in enumerate((False, True)):
            found = pooled_ratio("category", _parts(hits, asked.tolist(), last), seed=run)
            for which, (limits, truth) in enumerate(
                ((found.ci_prompts, world.truth), (found.ci_seeds, here))
            ):
                held[which, place] += limits is not None and limits[0] <= truth <= limits[1]
    return (world.name, *(f"{share:.3f}" for share in (held / runs).ravel()))


def rows(runs: int) -> Iterator[tuple[str, ...]]:
    """All worlds."""
    for world in WORLDS:
        yield row(world, runs)


def _parts(hits: Floats, asked: list[int], last: bool) -> list[Part]:
    return [
        Part(f"{prompt:04d}", image, float(value), asked[prompt], not last or image == IMAGES - 1)
        for prompt, values in enumerate(hits)
        for image, value in enumerate(values)
    ]
