"""Pooled ratios: all hits of a set of prompts over all that was asked there, with both intervals.

A category of questions is no mean of scores per image: a prompt with nine such questions weighs nine times as
much as a prompt with one. The unit is the prompt all the same, because its questions and its images stand or
fall together.

- ``ci_prompts``: whole prompts are resampled and both sums recomputed (seeded). The spread of these ratios
  is the standard error, steadied where few prompts have misses (``steadying``).
- ``ci_seeds``: the prompts, and with them what is asked, are fixed, so the ratio is linear in the hits and
  its variance comes from the images of each prompt. Images that do not count for the ratio (``counted``)
  still say how much an image of their prompt varies.

Both become intervals as all others do (``statistics.means.interval``: Wilson's at the effective sample size),
so a perfect ratio is never certain, and the estimate always lies within.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lumina_eval.records import Interval, Metric
from lumina_eval.statistics.clusters import Floats
from lumina_eval.statistics.means import BOUNDS, Bounds, interval, welch
from lumina_eval.statistics.steadying import steadied

RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class Part:
    """What one image adds to a ratio: ``hits`` of ``asked``, the same number asked of each of its images."""

    item_id: str
    index: int
    hits: float
    asked: int
    counted: bool = True
    """False for an image that the rule leaves out of the ratio."""


def pooled_ratio(
    name: str, parts: Sequence[Part], unit: str = "fraction", level: float = 0.95, seed: int = 0
) -> Metric:
    """Sum of hits over sum of asked, scaled to the range of ``unit`` (``BOUNDS``); null if none was asked.

    The result does not depend on the order of ``parts``. ``ci_prompts`` is None for a single prompt,
    ``ci_seeds`` where no prompt has two images.
    """
    low, high = BOUNDS[unit]
    ordered = sorted((part for part in parts if part.asked > 0), key=lambda part: (part.item_id, part.index))
    counted = [part for part in ordered if part.counted]
    if not counted:
        return Metric(name=name, value=None, n_prompts=0, n_images=0, unit=unit)
    place = {item: i for i, item in enumerate(dict.fromkeys(part.item_id for part in counted))}
    owner = [place[part.item_id] for part in counted]
    hits = np.bincount(owner, weights=[part.hits for part in counted]).astype(float)  # (P,)
    asked = np.bincount(owner, weights=[part.asked for part in counted]).astype(float)  # (P,)
    ratio = float(hits.sum() / asked.sum())
    every = [part for part in ordered if part.item_id in place]
    usual = sum(part.hits for part in every) / sum(part.asked for part in every)
    images, free = _between_images(every, counted)
    influence = (hits - ratio * asked) / asked.sum()
    together = ratio * (1 - ratio) / len(hits)
    prompts = float(steadied(_between_prompts(hits, asked, seed), influence, together))
    ci_seeds = _limits(ratio, usual, images, free, len(counted), (low, high), level)
    ci_prompts = _limits(ratio, ratio, prompts, len(hits) - 1, len(hits), (low, high), level)
    return Metric(
        name=name,
        value=low + ratio * (high - low),
        ci_seeds=ci_seeds,
        ci_prompts=ci_prompts,
        n_prompts=len(hits),
        n_images=len(counted),
        unit=unit,
    )


def _between_prompts(hits: Floats, asked: Floats, seed: int) -> float:
    """Variance of the ratio when prompts are drawn anew; NaN for a single prompt."""
    prompts = len(hits)
    if prompts < 2:
        return float("nan")
    drawn = np.random.default_rng(seed).integers(prompts, size=(RESAMPLES, prompts))
    ratios = hits[drawn].sum(axis=1) / asked[drawn].sum(axis=1)
    # Resampling n prompts has the variance of n of them, not of n - 1.
    return float(ratios.var() * prompts / (prompts - 1))


def _between_images(every: Sequence[Part], counted: Sequence[Part]) -> tuple[float, float]:
    """Variance of the ratio when only the images are drawn anew, with its degrees of freedom; NaN if unknown.

    A prompt with a single image borrows the mean variance, per question squared, of those with more.
    """
    hits: dict[str, list[float]] = {}
    asked = {part.item_id: part.asked for part in every}
    for part in every:
        hits.setdefault(part.item_id, []).append(part.hits)
    spread = {item: float(np.var(values, ddof=1)) for item, values in hits.items() if len(values) > 1}
    if not spread:
        return float("nan"), 1.0
    usual = float(np.mean([variance / asked[item] ** 2 for item, variance in spread.items()]))
    images = Counter(part.item_id for part in counted)
    total = sum(part.asked for part in counted)
    terms = [images[item] * spread.get(item, usual * asked[item] ** 2) / total**2 for item in hits]
    free = [len(values) - 1 if len(values) > 1 else np.inf for values in hits.values()]
    variance, df = welch(np.array(terms), np.array(free), sum(len(values) - 1 for values in hits.values()))
    return float(variance), float(df)


def _limits(
    ratio: float, usual: float, variance: float, df: float, size: int, bounds: Bounds, level: float
) -> Interval | None:
    """Return Wilson's interval of a ratio, in the range ``bounds``; None where the variance is unknown.

    The effective sample size is that at which ``usual``, the ratio over the images that the variance was
    taken from, has this variance; it is ``size`` where they all agree.
    """
    if np.isnan(variance):
        return None
    effective = usual * (1 - usual) / variance if variance > 1e-24 else size
    value = bounds[0] + ratio * (bounds[1] - bounds[0])
    low, high = interval(value, 0.0, df, effective, bounds, level)
    return float(low), float(high)
