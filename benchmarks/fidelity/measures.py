"""From rows and a reference to metrics with their intervals: which function is which metric.

Intervals are of the delete-group jackknife over prompts (``jackknife.py``). FID and its kin carry the bias of
their N; their interval is of the distance without it, as is that of ``fid_infinity``, KID and CMMD. What
precision, recall, density and coverage would be with endlessly many images is of no interest (balls shrink to
nothing), so theirs is of what other prompts would show at that N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.extrapolation import fid_infinity
from benchmarks.fidelity.metrics.frechet import FrechetReference
from benchmarks.fidelity.metrics.inception_score import InceptionScore, inception_score
from benchmarks.fidelity.metrics.jackknife import Groups, Jackknife, frechet_jackknife
from benchmarks.fidelity.metrics.kernel import KernelReference, cmmd_reference, kid_reference
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.neighbours import density_coverage, precision_recall
from benchmarks.fidelity.reference import Reference
from lumina_eval.errors import UserError

Rows = NDArray[np.floating[Any]]

#: Neighbours of more images than these have no interval: it would be their cost twenty-one times over.
MOST_NEIGHBOURS: Final = 5000
#: Nor have those of sets of which less would be left without a group: each has to have its five neighbours.
FEWEST_NEIGHBOURS: Final = 6
#: Units: a squared distance of means and spreads, and one of distributions; of both, less is better.
DISTANCE: Final = "distance"
DISCREPANCY: Final = "squared_mmd"


@dataclass(frozen=True)
class Measured:
    """One metric of one set."""

    value: float
    groups: Jackknife | None = None
    """Over the prompts; None where an interval is not known."""
    biased: float | None = None
    """The estimate with the bias of its N, where there is one beside the value: of KID and CMMD."""


class Sets:
    """Generated rows (N, d) held against a reference, and what several metrics need of the two, once."""

    def __init__(self, rows: Rows, reference: Reference, groups: Groups | None) -> None:
        """``groups`` are of these rows; None for values without intervals."""
        self.rows, self.reference, self.groups = rows, reference, groups

    @cached_property
    def frechet(self) -> FrechetReference:
        """The reference with its factor."""
        return FrechetReference(self.reference.moments)

    @cached_property
    def precision_recall(self) -> tuple[Measured, Measured]:
        """Both come of one walk over the distances."""
        return self._neighbours(precision_recall)

    @cached_property
    def density_coverage(self) -> tuple[Measured, Measured]:
        """Both come of one walk over the distances."""
        return self._neighbours(density_coverage)

    def _neighbours(self, of: Callable[[Rows, Rows], tuple[float, float]]) -> tuple[Measured, Measured]:
        rows, real, groups = self.rows, self.reference.rows, self.groups
        assert real is not None
        first, second = of(rows, real)
        few = groups is not None and min(groups.least_left(len(real))) < FEWEST_NEIGHBOURS
        if groups is None or few or len(rows) > MOST_NEIGHBOURS:
            return Measured(first), Measured(second)
        without = [
            of(rows[groups.index != group], groups.left_of(real, group)) for group in range(len(groups.sizes))
        ]
        return (
            Measured(first, Jackknife.of(first, [one for one, _ in without], groups)),
            Measured(second, Jackknife.of(second, [two for _, two in without], groups)),
        )


@dataclass(frozen=True)
class Measure:
    """How a metric comes about."""

    unit: str
    needs_rows: bool
    """The reference's features are needed; its mean and covariance are not enough."""
    of: Callable[[Sets], Measured]
    converges: bool = True
    """It tends to a distance of distributions as N grows: that is what its interval is of."""


def measured(name: str, sets: Sets) -> Measured:
    """Return a metric of generated rows against their reference.

    Raises UserError where there are too few images, or the reference's features are needed and not known.
    """
    measure = MEASURES[name]
    if measure.needs_rows and sets.reference.rows is None:
        raise UserError(
            f"expected features of the reference for {name}, found its mean and covariance alone "
            f"({sets.reference.name}); fix: name the folder of images, or a file of features"
        )
    return measure.of(sets)


def bias_of_fid(found: Measured) -> float | None:
    """Return by how much a Fréchet distance lies above what it tends to, to the first order in 1/N."""
    return None if found.groups is None else found.value - found.groups.corrected


def _frechet(sets: Sets) -> Measured:
    if sets.groups is None:
        return Measured(sets.frechet.distance(Moments.of(sets.rows)))
    found = frechet_jackknife(sets.rows, sets.groups, sets.frechet, sets.reference.rows)
    return Measured(found.value, found)


def _extrapolated(sets: Sets) -> Measured:
    found = fid_infinity(sets.rows, sets.frechet, sets.groups, real=sets.reference.rows)
    return Measured(found.value, found.groups)


def _kernel(make: Callable[[Rows], KernelReference]) -> Callable[[Sets], Measured]:
    def measure(sets: Sets) -> Measured:
        assert sets.reference.rows is not None
        found = make(sets.reference.rows).discrepancy(sets.rows, sets.groups)
        return Measured(found.value, found.groups, found.biased)

    return measure


#: Metrics that know no reference, with their units.
ALONE: Final[dict[str, tuple[str, Callable[[Rows], InceptionScore]]]] = {
    "inception_score": ("classes", inception_score)
}
_FRECHET: Final = Measure(DISTANCE, False, _frechet)
MEASURES: Final[dict[str, Measure]] = {
    "fid": _FRECHET,
    "clip_fid": _FRECHET,
    "fd_dinov2": _FRECHET,
    "fid_infinity": Measure(DISTANCE, False, _extrapolated),
    "kid": Measure(DISCREPANCY, True, _kernel(kid_reference)),
    "cmmd": Measure(DISTANCE, True, _kernel(cmmd_reference)),
    "precision": Measure("fraction", True, lambda sets: sets.precision_recall[0], False),
    "recall": Measure("fraction", True, lambda sets: sets.precision_recall[1], False),
    "density": Measure("ratio", True, lambda sets: sets.density_coverage[0], False),
    "coverage": Measure("fraction", True, lambda sets: sets.density_coverage[1], False),
}
