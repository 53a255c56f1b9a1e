"""Simulated runs with a known truth: prompts of differing difficulty, images that share their prompt's.

The chance of a prompt is beta distributed around the mean of its task; `agreement`, the intraclass
correlation, says how far the images of a prompt stand or fall together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lumina_eval.statistics.clusters import Clusters, Floats

BLOCK: Final = 250
"""Runs simulated at a time, to bound memory: 4 MB at 553 prompts of four images."""

#: Prompts and images of GenEval, and the task scores of a good model.
GENEVAL_PROMPTS: Final = (80, 99, 80, 94, 100, 100)
GENEVAL_MEANS: Final = (0.99, 0.87, 0.67, 0.88, 0.2, 0.5)


@dataclasses.dataclass(frozen=True)
class World:
    """One model on one set of tasks."""

    name: str
    means: tuple[float, ...]
    """Of each task."""
    prompts: tuple[int, ...]
    """Of each task."""
    images: tuple[int, ...] = (4,)
    """Per prompt; prompts take turns where there are several numbers."""
    agreement: float = 0.4
    questions: int = 1
    """An image's score is the share of so many questions that it answers right."""

    @property
    def stratum(self) -> NDArray[np.intp]:
        """Task of each prompt (P,)."""
        return np.repeat(np.arange(len(self.means)), self.prompts)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Images of each prompt (P,)."""
        return np.resize(np.array(self.images, dtype=np.intp), sum(self.prompts))

    @property
    def truth(self) -> float:
        """The overall score over all prompts that might have been asked."""
        return float(np.mean(self.means))

    def chances(self, runs: int, rng: np.random.Generator, shift: float = 0.0) -> Floats:
        """Chance of each prompt (runs, P), with the means of all tasks moved by `shift`."""
        mean = np.asarray(self.means)[self.stratum] + shift
        if not ((mean > 0) & (mean < 1)).all():
            raise ValueError(f"means of {self.name} moved by {shift} are outside 0 to 1")
        size = (1 - self.agreement) / self.agreement
        return rng.beta(mean * size, (1 - mean) * size, size=(runs, len(mean)))

    def scores(self, chances: Floats, rng: np.random.Generator) -> Floats:
        """Score of each image (runs, P, K) at these chances (runs, P); NaN where a prompt has fewer."""
        most = int(self.counts.max())
        wide = np.broadcast_to(chances[..., None], (*chances.shape, most))
        right = rng.random(wide.shape) < wide if self.questions == 1 else rng.binomial(self.questions, wide)
        found = np.asarray(right, dtype=float) / self.questions
        found[:, np.arange(most) >= self.counts[:, None]] = np.nan
        return found

    def clusters(self, scores: Floats) -> Clusters:
        """Sufficient statistics of scores (runs, P, K)."""
        total = np.nansum(scores, axis=-1)
        spread = np.nansum((scores - (total / self.counts)[..., None]) ** 2, axis=-1)
        return Clusters(total, spread, self.counts.astype(float), self.stratum)


def blocks(runs: int) -> Iterator[int]:
    """Cut a number of runs into blocks."""
    for start in range(0, runs, BLOCK):
        yield min(BLOCK, runs - start)


def generator(name: str) -> np.random.Generator:
    """The random numbers of one row of a table: the same each time, whatever else is simulated."""
    return np.random.default_rng(list(name.encode()))
