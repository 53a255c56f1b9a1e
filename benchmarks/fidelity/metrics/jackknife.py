"""How sure a distance between two sets is, and what it would be without the bias of a finite sample.

FID is biased upwards by about c / N, so the percentiles of a bootstrap lie above the estimate itself and
cover nothing. The delete-group jackknife takes the first order of that bias out and gives a standard error.
A group is a share of the *prompts* with all their images: seeds of one prompt are no independent sample.

Groups may differ in size (Busing, Meijer and van der Leeden 1999). With N images in all, m[j] of them in
group j, h[j] = N / m[j], T the value of all images and T[-j] the one without group j:

    pseudo-value[j] = h[j] T - (h[j] - 1) T[-j]
    corrected       = sum of m[j] / N * pseudo-value[j]
    variance        = mean of (pseudo-value[j] - corrected)² / (h[j] - 1)

A reference that was drawn for the same prompts is a sample of them as well: a prompt leaves both sides, or
what they share would count as a difference. Any other reference is fixed: its own finite size stays in the
value, and is no part of the interval.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.frechet import FrechetReference, on_cores
from benchmarks.fidelity.metrics.moments import Floats, Moments
from lumina_eval.digests import digest_of
from lumina_eval.records import Interval

#: Groups: a compromise of cost (that many distances) and degrees of freedom of the interval.
GROUPS = 20


@dataclass(frozen=True)
class Groups:
    """Which group each image is in, all images of a prompt in one."""

    index: NDArray[np.intp]
    """(N,) group of each image, 0 .. count - 1, none of them empty."""
    digest: str
    """Of prompts and groups: of equal digest are those whose values may be paired."""
    reference: NDArray[np.intp] | None = None
    """(M,) group of each row of a reference for the same prompts, -1 where there is no image of its prompt;
    None for a fixed reference."""

    @classmethod
    def by_prompt(
        cls, prompts: Sequence[str], count: int = GROUPS, reference: Sequence[str] = ()
    ) -> Groups | None:
        """Deal the prompts of N images to ``count`` groups, or to as many as there are prompts.

        ``reference`` holds the prompt of each of its rows, where it was drawn for the same prompts.

        Neither order nor number of the images matters, only which prompts there are: they are dealt in the
        order of their sha256. Returns None where no interval can be had: for a single prompt, or if fewer
        than two rows of either side would be left without some group.
        """
        names = sorted(set(prompts), key=lambda prompt: hashlib.sha256(prompt.encode()).digest())
        if len(names) < 2:
            return None
        group = {name: place % min(count, len(names)) for place, name in enumerate(names)}
        found = cls(
            np.array([group[prompt] for prompt in prompts], dtype=np.intp),
            digest_of(group),
            np.array([group.get(prompt, -1) for prompt in reference], dtype=np.intp) if reference else None,
        )
        return found if min(found.least_left(len(reference) or 2)) >= 2 else None

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Images in each group, (K,)."""
        return np.bincount(self.index)

    def least_left(self, of_reference: int) -> tuple[int, int]:
        """Return the fewest rows that are left without a group: of the images, and of a reference's (M,)."""
        gone = 0 if self.reference is None else int(np.bincount(self.reference + 1)[1:].max(initial=0))
        return len(self.index) - int(self.sizes.max()), of_reference - gone

    def left_of(self, reference: NDArray[Any], group: int) -> NDArray[Any]:
        """Return the rows (M, d) of the reference that stay when a group is left out: all of a fixed one."""
        return reference if self.reference is None else reference[self.reference != group]


@dataclass(frozen=True)
class Jackknife:
    """A statistic of all images and of all but each group."""

    value: float
    """Of all images: what other tools report."""
    pseudo_values: Floats
    """(K,), one for each group; their mean, weighted by ``shares``, is ``corrected``."""
    shares: Floats
    """(K,), part of the images that is in each group; adds up to 1."""
    digest: str
    """Of the groups."""

    @classmethod
    def of(cls, value: float, without: Sequence[float], groups: Groups) -> Jackknife:
        """From the value of all images and the K values without group 0, 1, … Raises ValueError if not K."""
        shares = groups.sizes / len(groups.index)
        if len(without) != len(shares):
            raise ValueError(f"expected {len(shares)} values, one without each group, found {len(without)}")
        pseudo = value / shares - (1 / shares - 1) * np.asarray(without, dtype=np.float64)
        return cls(value, pseudo, shares, groups.digest)

    @property
    def corrected(self) -> float:
        """The value without the first order, c / N, of its bias; may be below zero where there is none."""
        return float(self.shares @ self.pseudo_values)

    @property
    def standard_error(self) -> float:
        """Of the corrected value, over prompts."""
        squares = (self.pseudo_values - self.corrected) ** 2
        return float(np.sqrt((squares / (1 / self.shares - 1)).mean()))

    def interval(self, level: float = 0.95) -> Interval:
        """Return Student's interval about the corrected value, K - 1 degrees of freedom."""
        half = float(scipy.stats.t.ppf((1 + level) / 2, len(self.shares) - 1)) * self.standard_error
        return self.corrected - half, self.corrected + half


def jackknife(statistic: Callable[[Any], float], features: NDArray[Any], groups: Groups) -> Jackknife:
    """Jackknife any statistic of the rows (N, d); it is computed K + 1 times."""
    count = len(groups.sizes)
    without = [statistic(features[groups.index != group]) for group in range(count)]
    return Jackknife.of(statistic(features), without, groups)


def frechet_jackknife(
    features: NDArray[Any], groups: Groups, reference: FrechetReference, real: NDArray[Any] | None = None
) -> Jackknife:
    """Jackknife the Fréchet distance of the rows (N, d) from a reference; ``real`` are its rows (M, d).

    These are needed where the groups are of both sides. Rows are read in blocks and by groups, and the factor
    of a fixed reference is shared. It takes K + 1 symmetric eigenvalue problems, as many at a time as there
    are cores, up to four: beside the rows of those groups there are a few (d, d) matrices for each in memory.
    """
    moments = Moments.of(features)

    def without(group: int) -> float:
        held = reference_without(reference, groups, group, real)
        return held.distance(moments.without(features[groups.index == group]), cores=1)

    # Side by side, the groups use all cores, each of them one.
    with on_cores(moments.width, 1), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        values = list(pool.map(without, range(len(groups.sizes))))
    return Jackknife.of(reference.distance(moments), values, groups)


def reference_without(
    reference: FrechetReference, groups: Groups, group: int, real: NDArray[Any] | None
) -> FrechetReference:
    """Return the reference less the rows of a group, or itself where it is fixed."""
    if groups.reference is None:
        return reference
    assert real is not None
    return FrechetReference(reference.moments.without(real[groups.reference == group]), cores=1)
