"""How often the intervals of a score hold the truth, and how often two common ones do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumina_eval.statistics.clusters import Clusters, Floats
from lumina_eval.statistics.means import BOUNDS, interval, moments
from lumina_eval.statistics.simulation.worlds import (
    GENEVAL_MEANS,
    GENEVAL_PROMPTS,
    World,
    blocks,
    generator,
)

RESAMPLES: Final = 1000

WORLDS: Final = (
    World("GenEval, 553 prompts", GENEVAL_MEANS, GENEVAL_PROMPTS),
    *(
        World(f"the same, all tasks at {mean:.2f}", (mean,) * 6, GENEVAL_PROMPTS)
        for mean in (0.05, 0.3, 0.9, 0.99)
    ),
    World("the same, images nearly alike", GENEVAL_MEANS, GENEVAL_PROMPTS, agreement=0.9),
    World("the same, images nearly independent", GENEVAL_MEANS, GENEVAL_PROMPTS, agreement=0.05),
    World("the same, 1 to 4 images left of a prompt", GENEVAL_MEANS, GENEVAL_PROMPTS, (4, 2, 3, 1)),
    World("tasks of 8 to 120 prompts", (0.8, 0.75, 0.3, 0.2, 0.35, 0.3), (8, 50, 24, 112, 120, 40)),
    World("8 to 120 prompts, all tasks at 0.05", (0.05,) * 6, (8, 50, 24, 112, 120, 40)),
    World("8 to 120 prompts, all tasks at 0.95", (0.95,) * 6, (8, 50, 24, 112, 120, 40)),
    World("8 to 120 prompts, all tasks at 0.99", (0.99,) * 6, (8, 50, 24, 112, 120, 40)),
    World("8 to 120 prompts, the 8 at 0.99", (0.99, 0.75, 0.3, 0.2, 0.35, 0.3), (8, 50, 24, 112, 120, 40)),
    World(
        "8 to 120 prompts at 0.95, images nearly independent",
        (0.95,) * 6,
        (8, 50, 24, 112, 120, 40),
        agreement=0.02,
    ),
    World("six tasks of 15", (0.99, 0.87, 0.67, 0.88, 0.2, 0.5), (15,) * 6),
    World("one task of 15 at 0.80", (0.8,), (15,)),
    World("one task of 80 at 0.95", (0.95,), (80,)),
    World("one task of 80 at 0.99", (0.99,), (80,)),
    World("15 prompts of ten questions at 0.98", (0.98,), (15,), questions=10),
    World("80 prompts of ten questions at 0.98", (0.98,), (80,), questions=10),
    World("1,065 prompts of ten questions", (0.75,), (1065,), questions=10),
)
HEAD: Final = (
    "world",
    "mean",
    "`ci_prompts`",
    "unsteadied",
    "Student's",
    "per image",
    "bootstrap",
    "`ci_seeds`",
    "per image",
)


def row(world: World, runs: int) -> tuple[str, ...]:
    """Simulate one world: coverage of ours and of the others, for both questions."""
    rng = generator(world.name)
    names = ("prompts", "unsteadied", "student", "image", "bootstrap", "seeds", "image_seeds")
    held = dict.fromkeys(names, 0)
    fixed = world.chances(1, rng)  # the prompts that ci_seeds is about: drawn once
    here = float(np.mean([fixed[0, world.stratum == h].mean() for h in range(len(world.means))]))
    if len(world.images) > 1:
        here = _over_images(world, fixed[0])
    for block in blocks(runs):
        new = world.clusters(world.scores(world.chances(block, rng), rng))
        again = world.clusters(world.scores(np.repeat(fixed, block, axis=0), rng))
        ours = moments(new, bounds=BOUNDS["fraction"])
        limits = {
            "prompts": (_ours(ours.value, ours.steady_prompts, ours.df_prompts, ours.n_prompts), world.truth),
            "unsteadied": (_ours(ours.value, ours.var_prompts, ours.df_prompts, ours.n_prompts), world.truth),
            "student": (_student(ours.value, ours.var_prompts, ours.df_prompts), world.truth),
            "image": (_per_image(new), world.truth),
            "bootstrap": (_bootstrap(new, rng), world.truth),
            "image_seeds": (_per_image(again), here),
        }
        ours = moments(again, bounds=BOUNDS["fraction"])
        limits["seeds"] = (_ours(ours.value, ours.steady_seeds, ours.df_seeds, ours.n_images), here)
        for name, ((low, high), truth) in limits.items():
            held[name] += int(np.count_nonzero((low <= truth) & (truth <= high)))
    shares = (f"{held[name] / runs:.3f}" for name in names)
    return (world.name, f"{world.truth:.2f}", *shares)


def rows(runs: int) -> Iterator[tuple[str, ...]]:
    """All worlds."""
    for world in WORLDS:
        yield row(world, runs)


def _over_images(world: World, chance: Floats) -> float:
    """Mean over tasks of the mean over images, which is what the score estimates when prompts are fixed."""
    weights = world.counts.astype(float)
    inside = [world.stratum == h for h in range(len(world.means))]
    return float(np.mean([np.average(chance[own], weights=weights[own]) for own in inside]))


def _ours(value: Floats, variance: Floats, df: Floats, size: int) -> tuple[Floats, Floats]:
    return interval(value, variance, df, size, BOUNDS["fraction"], 0.95)


def _student(value: Floats, variance: Floats, df: Floats) -> tuple[Floats, Floats]:
    """The plain t interval with the same variance."""
    half: Floats = stats.t.ppf(0.975, df) * np.sqrt(variance)
    return value - half, value + half


def _per_image(clusters: Clusters) -> tuple[Floats, Floats]:
    """Every image as an observation of its own: the mean and 1.96 standard errors, as it is mostly done."""
    member = np.eye(int(clusters.stratum.max()) + 1)[clusters.stratum]
    images = clusters.count @ member
    mean = clusters.total @ member / images
    squares = (clusters.spread + clusters.total**2 / clusters.count) @ member
    variance = (squares / images - mean**2) / (images - 1)
    value, error = mean.mean(axis=-1), np.sqrt(variance.sum(axis=-1)) / len(images)
    z = float(stats.norm.ppf(0.975))
    return value - z * error, value + z * error


def _bootstrap(clusters: Clusters, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Percentiles over resamples of whole prompts within task; a block of runs shares its resamples."""
    times = _resampled(clusters.stratum, RESAMPLES, rng)
    values = np.zeros((*clusters.total.shape[:-1], RESAMPLES))
    tasks = int(clusters.stratum.max()) + 1
    for h in range(tasks):
        inside = clusters.stratum == h
        images = times[:, inside] @ clusters.count[inside]
        values += clusters.total[..., inside] @ times[:, inside].T / images / tasks
    low, high = np.quantile(values, (0.025, 0.975), axis=-1)
    return low, high


def _resampled(stratum: NDArray[np.intp], resamples: int, generator: np.random.Generator) -> Floats:
    """How often each prompt (P,) is drawn in each resample, within its task: (R, P)."""
    times = np.zeros((resamples, len(stratum)))
    for h in range(int(stratum.max()) + 1):
        inside = np.flatnonzero(stratum == h)
        times[:, inside] = generator.multinomial(
            len(inside), np.full(len(inside), 1 / len(inside)), size=resamples
        )
    return times
