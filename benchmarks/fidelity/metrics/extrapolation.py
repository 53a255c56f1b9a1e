"""FID-infinity: what FID would be with endlessly many generated images (Chong and Forsyth 2020).

At each of 15 sizes n, evenly from the smallest to N, a random subset gives an FID; a least-squares line over
1/n meets 1/n = 0 at the value (``score_infinity.py`` of their repository). Differences from their code:
subsets are drawn without replacement from a seeded generator, and the smallest size is N / 10 (their 5,000 of
50,000) but at least twice the width, because below that the bias is no straight line in 1/n.

The interval is the delete-group jackknife of the whole procedure, subsets and line included. That of the
regression would be wrong: the subsets overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.fidelity.metrics.frechet import FrechetReference
from benchmarks.fidelity.metrics.jackknife import Groups, Jackknife, reference_without
from benchmarks.fidelity.metrics.moments import BLOCK, Moments, RunningMoments
from lumina_eval.errors import UserError

#: Points of the line, as in the paper.
POINTS: Final = 15
SEED: Final = 2020


@dataclass(frozen=True)
class Extrapolation:
    """The line and where it ends."""

    value: float
    """FID at 1/n = 0; may be slightly negative, since a line knows no bound."""
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    """FID at each size."""
    groups: Jackknife | None
    """For the interval; None without groups."""


def fid_infinity(
    features: NDArray[Any],
    reference: FrechetReference,
    groups: Groups | None = None,
    points: int = POINTS,
    seed: int = SEED,
    real: NDArray[Any] | None = None,
) -> Extrapolation:
    """Extrapolate the Fréchet distance of generated rows (N, d) from a reference, whose rows are ``real``.

    It takes ``points`` distances, and with ``groups`` another ``points`` for each group. Raises UserError for
    fewer than four images per feature.
    """
    n, width = features.shape
    smallest = max(n // 10, 2 * width)
    if n < 2 * smallest:
        raise UserError(
            f"expected at least {4 * width} images to extrapolate from {width} features, found {n}; "
            "fix: give more images, or leave fid_infinity out (fid has a corrected value of its own)"
        )
    sizes = np.linspace(smallest, n, points).astype(int)
    columns = 1 + (0 if groups is None else len(groups.sizes))
    counts, values = np.empty((points, columns)), np.empty((points, columns))
    rng = np.random.default_rng(seed)
    held = [reference] + [
        reference_without(reference, groups, group, real)
        for group in range(columns - 1)
        if groups is not None
    ]
    for point, size in enumerate(sizes):
        chosen = np.sort(rng.permutation(n)[:size])
        moments = _moments_of(features, chosen)
        counts[point, 0], values[point, 0] = size, reference.distance(moments)
        for group in range(columns - 1):
            assert groups is not None
            # The same subsets, less the group: new ones would add their own noise to what is a difference.
            left = moments.without(features[chosen[groups.index[chosen] == group]])
            counts[point, 1 + group], values[point, 1 + group] = left.n or 0, held[1 + group].distance(left)
    ends = [intercept(1 / counts[:, column], values[:, column]) for column in range(columns)]
    return Extrapolation(
        ends[0],
        tuple(int(size) for size in sizes),
        tuple(float(value) for value in values[:, 0]),
        None if groups is None else Jackknife.of(ends[0], ends[1:], groups),
    )


def intercept(x: ArrayLike, y: ArrayLike) -> float:
    """Return where the least-squares line through the points meets x = 0."""
    _, constant = np.polyfit(np.asarray(x), np.asarray(y), 1)
    return float(constant)


def _moments_of(features: NDArray[Any], chosen: NDArray[np.intp]) -> Moments:
    running = RunningMoments()
    for start in range(0, len(chosen), BLOCK):
        running.update(features[chosen[start : start + BLOCK]])
    return running.moments()
