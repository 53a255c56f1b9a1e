"""The whole chain on a generator of known quality: does the estimate meet the truth, do intervals cover?

Pictures of every prompt, right ones and minimally wrong ones, are drawn and judged once, by their pixels.
Runs are then simulated by drawing among these verdicts as the generator would: right ones with the prompt's
probability. Each simulated run goes through the statistics of :mod:`lumina_eval.statistics.means`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.trial.distortions import Draw, clean
from benchmarks.tabletop.trial.edits import KINDS, edits_of
from benchmarks.tabletop.trial.measure import looked_at
from benchmarks.tabletop.trial.models import own_probability
from benchmarks.tabletop.trial.truth import accepts, scene_for
from lumina_eval.records import Item
from lumina_eval.statistics.clusters import Clusters
from lumina_eval.statistics.means import interval, moments
from lumina_eval.statistics.sign_flip import sign_flip

Floats = npt.NDArray[np.float64]

#: Images per prompt of a simulated run, as in the protocol.
IMAGES: Final = 4
#: Random assignments of signs per comparison.
FLIPS: Final = 999
#: Runs simulated at a time, to bound memory.
BLOCK: Final = 250


@dataclasses.dataclass(frozen=True)
class Pool:
    """Verdicts through pixels. P prompts, M pictures of each kind."""

    probability: Floats
    """(P,): how often the scripted generator is right."""
    stratum: npt.NDArray[np.intp]
    """(P,): index of the task."""
    right: npt.NDArray[np.bool_]
    """(P, M): was a right picture accepted?"""
    wrong: npt.NDArray[np.bool_]
    """(P, M): was a wrong picture accepted?"""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How often intervals of 95 % held the truth."""

    seeds: float
    prompts: float
    runs: int
    prompts_per_task: int


@dataclasses.dataclass(frozen=True)
class Decisions:
    """How often a comparison of two generators called their difference significant at 5 %."""

    difference: float
    """The true difference of their overall scores."""
    significant: float
    runs: int
    prompts_per_task: int


def judged_pool(items: Sequence[Item], size: int, pictures: int, seed: int, draw: Draw = clean) -> Pool:
    """Draw and judge ``pictures`` right and as many wrong pictures of every prompt."""
    kinds = [kind for kind in KINDS if kind != "texture"]
    right = np.zeros((len(items), pictures), dtype=np.bool_)
    wrong = np.zeros_like(right)
    for p, item in enumerate(items):
        for m in range(pictures):
            rng = np.random.default_rng([seed, p, m])
            while not (pairs := edits_of(item.metadata, scene_for(item.metadata, rng), rng, kinds)):
                pass
            pair = pairs[int(rng.integers(len(pairs)))]
            right[p, m] = accepts(item.metadata, looked_at(pair.original, size, draw, [seed, p, m, 0]))
            wrong[p, m] = accepts(item.metadata, looked_at(pair.edited, size, draw, [seed, p, m, 1]))
    tasks = list(dict.fromkeys(item.task for item in items))
    return Pool(
        np.array([own_probability(item.prompt) for item in items]),
        np.array([tasks.index(item.task) for item in items], dtype=np.intp),
        right,
        wrong,
    )


def slope(pool: Pool, images: int, seed: int) -> tuple[float, float]:
    """Return slope and its standard error of judged share against true probability over prompts.

    Every prompt gets ``images`` simulated pictures; 1 means that the judge neither adds nor takes away.
    """
    rng = np.random.default_rng(seed)
    everyone = np.arange(len(pool.probability))
    share = _verdicts(pool, np.broadcast_to(everyone, (1, len(everyone))), images, rng)[0].mean(axis=1)
    x = pool.probability - pool.probability.mean()
    estimate = float(x @ share / (x @ x))
    residual = share - share.mean() - estimate * x
    return estimate, float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))


def coverage(pool: Pool, prompts_per_task: int, runs: int, seed: int) -> Coverage:
    """Simulate runs and count how often each interval of the overall score holds its truth.

    Each run draws its prompts anew. The truth of ``ci_seeds`` is the mean over the prompts that it drew, that
    of ``ci_prompts`` the mean over all prompts of the pool; both from the script, not from the judge.
    """
    rng = np.random.default_rng(seed)
    tasks = int(pool.stratum.max()) + 1
    members = [np.flatnonzero(pool.stratum == h) for h in range(tasks)]
    everywhere = float(np.mean([pool.probability[own].mean() for own in members]))
    stratum = np.repeat(np.arange(tasks), prompts_per_task)
    held = np.zeros(2)
    for start in range(0, runs, BLOCK):
        block = min(BLOCK, runs - start)
        drawn = np.concatenate(
            [own[rng.integers(len(own), size=(block, prompts_per_task))] for own in members], axis=1
        )
        here = pool.probability[drawn].mean(axis=1)  # tasks are of equal size here
        found = moments(Clusters.of_array(_verdicts(pool, drawn, IMAGES, rng), stratum), bounds=(0.0, 1.0))
        for k, (variance, df, n, truth) in enumerate(
            (
                (found.steady_seeds, found.df_seeds, found.n_images, here),
                (found.steady_prompts, found.df_prompts, found.n_prompts, everywhere),
            )
        ):
            low, high = interval(found.value, variance, df, n, (0.0, 1.0), 0.95)
            held[k] += np.count_nonzero((low <= truth) & (truth <= high))
    return Coverage(held[0] / runs, held[1] / runs, runs, prompts_per_task)


def decisions(pool: Pool, gain: float, prompts_per_task: int, runs: int, seed: int) -> Decisions:
    """Compare the scripted generator with one whose probabilities are higher by ``gain`` (at most 1).

    Both answer the same prompts; the test is the comparison's own, paired by prompt. Without a gain the share
    of significant ones is the error rate, with one it is the power.
    """
    rng = np.random.default_rng(seed)
    better = dataclasses.replace(pool, probability=np.minimum(pool.probability + gain, 1.0))
    tasks = int(pool.stratum.max()) + 1
    members = [np.flatnonzero(pool.stratum == h) for h in range(tasks)]
    stratum, share = np.repeat(np.arange(tasks), prompts_per_task), np.full(tasks, 1 / tasks)
    called, true = 0, []
    for run in range(runs):
        drawn = np.concatenate([own[rng.integers(len(own), size=prompts_per_task)] for own in members])[None]
        means = [_verdicts(each, drawn, IMAGES, rng)[0].mean(axis=1) for each in (pool, better)]
        true.append(float((better.probability - pool.probability)[drawn].mean()))
        called += bool(sign_flip(means[1] - means[0], stratum, share, FLIPS, run).p[0] <= 0.05)
    return Decisions(float(np.mean(true)), called / runs, runs, prompts_per_task)


def _verdicts(pool: Pool, drawn: npt.NDArray[np.intp], images: int, rng: np.random.Generator) -> Floats:
    """Return (runs, prompts, images): 1 for accepted pictures of the prompts ``drawn`` (runs, prompts)."""
    shape = (*drawn.shape, images)
    success = rng.random(shape) < pool.probability[drawn][..., None]
    which = rng.integers(pool.right.shape[1], size=shape)
    place = drawn[..., None]
    return np.where(success, pool.right[place, which], pool.wrong[place, which]).astype(np.float64)
