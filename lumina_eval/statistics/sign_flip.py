"""Sign-flip tests on paired differences, and corrections for testing many things. Pure functions on arrays.

Under the hypothesis of no difference, a prompt's difference between two models is as likely to have either
sign. So the signs are flipped at random and the studentised mean is compared with those that come out. That
holds at any sample size and for any shape of the scores (E. Edgington and P. Onghena, Randomization Tests).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumina_eval.statistics.clusters import Floats

BLOCK: Final = 4_000_000
"""Signs drawn at a time, to bound memory: 32 MB."""


@dataclass(frozen=True)
class FlipTest:
    """Two-sided p values of J contrasts."""

    p: Floats  # (J,) each for itself
    p_max: Floats  # (J,) corrected for J contrasts by the maximum of the statistic (Westfall and Young)
    exact: bool  # every assignment of signs was tried


def sign_flip(
    differences: ArrayLike, stratum: ArrayLike, share: ArrayLike, resamples: int = 10_000, seed: int = 0
) -> FlipTest:
    """Test J stratified means against 0: `differences` (J, P), task index (P,), weight of each task (H,).

    All contrasts are flipped together, a prompt at a time, which keeps their correlation. Exact if the
    prompts with any difference are so few that all assignments are no more than `resamples` + 1.
    """
    d, task = np.atleast_2d(np.asarray(differences, dtype=float)), np.asarray(stratum, dtype=np.intp)
    weight = np.asarray(share, dtype=float)
    moving = np.flatnonzero((d != 0).any(axis=0))  # a zero has no sign to flip
    member = np.eye(len(weight))[task]
    n = member.sum(axis=0)
    scale = weight / n
    squares = (d**2) @ member  # (J, H), the same for any signs
    parts = (d[:, :, None] * member)[:, moving]  # (J, M, H)

    def statistic(signs: Floats) -> Floats:
        """Absolute studentised means (R, J) under R sign vectors (R, M)."""
        sums = np.einsum("rm,jmh->rjh", signs, parts, optimize=True)
        # A task with one prompt has no variance around its mean, only one around the hypothesis.
        spread = np.where(n > 1, n / np.maximum(n - 1, 1) * (squares - sums**2 / n), squares)
        mean, variance = np.abs(sums @ scale), np.maximum(spread, 0) @ scale**2
        rounding = 1e-12 * (squares @ scale**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(variance > rounding, mean / np.sqrt(variance), np.inf)
        found: Floats = np.where(mean > 1e-12 * np.sqrt(squares @ scale**2), t, 0.0)
        return found

    observed = statistic(np.ones((1, len(moving))))[0] * (1 - 1e-9)  # ties are ties
    exact = len(moving) <= math.log2(resamples + 1)
    single, joint, total = np.zeros(len(d)), np.zeros(len(d)), 0
    for signs in _all_signs(len(moving)) if exact else _random_signs(len(moving), resamples, seed):
        t = statistic(signs)
        single += (t >= observed).sum(axis=0)
        joint += (t.max(axis=1, keepdims=True) >= observed).sum(axis=0)
        total += len(signs)
    # Among random assignments the observed one counts as drawn, so that p is never zero and never too small.
    extra = 0 if exact else 1
    return FlipTest((single + extra) / (total + extra), (joint + extra) / (total + extra), exact)


def _all_signs(count: int) -> Iterator[Floats]:
    yield np.array(list(itertools.product((1.0, -1.0), repeat=count))).reshape(2**count, count)


def _random_signs(count: int, resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    rows = max(1, min(1000, BLOCK // max(count, 1)))
    for start in range(0, resamples, rows):
        heads = generator.integers(2, size=(min(rows, resamples - start), count))
        yield (1 - 2 * heads).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (S. Holm 1979), in the order given."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    corrected: NDArray[np.float64] = np.maximum.accumulate(
        [min(1.0, (count - rank) * p_values[place]) for rank, place in enumerate(order)]
    )
    result = np.empty(count)
    result[order] = corrected
    return [float(p) for p in result]
