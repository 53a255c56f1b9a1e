"""Two models on the same prompts, with a known difference."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from lumina_eval.statistics.clusters import Floats
from lumina_eval.statistics.simulation.worlds import World


@dataclasses.dataclass(frozen=True)
class Pair:
    """A baseline and a candidate.

    - ``redrawn``: a prompt is as hard for both with chance `alike`, else its difficulty is drawn anew;
    - ``copied``: a prompt that is alike has the very same images, as after a change that hardly matters;
    - ``lost``: the candidate is the baseline, but fails all images of some prompts: nothing is gained.
    """

    name: str
    world: World
    alike: float
    difference: float
    kind: Literal["redrawn", "copied", "lost"] = "redrawn"

    def scores(self, runs: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Scores of images (runs, P, K) of both."""
        world = self.world
        chances = world.chances(runs, rng)
        before = world.scores(chances, rng)
        if self.kind == "lost":
            broken = rng.random(chances.shape) < -self.difference / np.asarray(world.means)[world.stratum]
            return before, np.where(broken[..., None], 0.0, before)
        other = world.chances(runs, rng, self.difference / (1 - self.alike))
        same = rng.random(chances.shape) < self.alike
        after = world.scores(np.where(same, chances, other), rng)
        return before, np.where(same[..., None], before, after) if self.kind == "copied" else after

    def differences(self, runs: int, rng: np.random.Generator) -> Floats:
        """Differences of prompts (runs, P)."""
        before, after = self.scores(runs, rng)
        found: Floats = after.mean(axis=-1) - before.mean(axis=-1)
        return found
