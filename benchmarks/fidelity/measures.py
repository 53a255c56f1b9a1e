"""From rows and a reference to metrics with their intervals: which function is which metric.

Intervals are of the delete-group jackknife over prompts (``jackknife.py``). FID and its kin carry the bias of
their N; their interval is of the distance without it, as is that of ``fid_infinity``, KID and CMMD. What
precision, recall, density and coverage would be with endlessly many images is of no interest (balls shrink to
nothing), so theirs is of what other prompts would show at that N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.extrapolation import fid_infinity
from benchmarks.fidelity.metrics.frechet import FrechetReference
from benchmarks.fidelity.metrics.inception_score import inception_score
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


@dataclass(frozen=True)
class Measure:
    """How a metric comes about."""

    unit: str
    needs_rows: bool
    """The reference's features are needed; its mean and covariance are not enough."""
    of: Callable[[Rows, Reference, Groups | None], Measured]
    converges: bool = True
    """It tends to a distance of distributions as N grows: that is what its interval is of."""


def measured(name: str, rows: Rows, reference: Reference, groups: Groups | None) -> Measured:
    """Return a metric of generated rows (N, d); ``groups`` are of these rows.

    Raises UserError where there are too few images, or the reference's features are needed and not known.
    """
    measure = MEASURES[name]
    if measure.needs_rows and reference.rows is None:
        raise UserError(
            f"expected features of the reference for {name}, found its mean and covariance alone "
            f"({reference.name}); fix: name the folder of images, or a file of features"
        )
    return measure.of(rows, reference, groups)


def bias_of_fid(found: Measured) -> float | None:
    """Return by how much a Fréchet distance lies above what it tends to, to the first order in 1/N."""
    return None if found.groups is None else found.value - found.groups.corrected


def _frechet(rows: Rows, reference: Reference, groups: Groups | None) -> Measured:
    real = FrechetReference(reference.moments)
    if groups is None:
        return Measured(real.distance(Moments.of(rows)))
    found = frechet_jackknife(rows, groups, real, reference.rows)
    return Measured(found.value, found)


def _extrapolated(rows: Rows, reference: Reference, groups: Groups | None) -> Measured:
    found = fid_infinity(rows, FrechetReference(reference.moments), groups, real=reference.rows)
    return Measured(found.value, found.groups)


def _kernel(make: Callable[[Rows], KernelReference]) -> Callable[..., Measured]:
    def measure(rows: Rows, reference: Reference, groups: Groups | None) -> Measured:
        assert reference.rows is not None
        found = make(reference.rows).discrepancy(rows, groups)
        return Measured(found.value, found.groups, found.biased)

    return measure


def _neighbours(statistic: Callable[[Rows, Rows], float]) -> Callable[..., Measured]:
    def measure(rows: Rows, reference: Reference, groups: Groups | None) -> Measured:
        real = reference.rows
        assert real is not None
        few = groups is not None and min(groups.least_left(len(real))) < FEWEST_NEIGHBOURS
        if groups is None or few or len(rows) > MOST_NEIGHBOURS:
            return Measured(statistic(rows, real))
        without = [
            statistic(rows[groups.index != group], groups.left_of(real, group))
            for group in range(len(groups.sizes))
        ]
        value = statistic(rows, real)
        return Measured(value, Jackknife.of(value, without, groups))

    return measure


#: Metrics that know no reference, with their units.
ALONE: Final[dict[str, tuple[str, Callable[[Rows], float]]]] = {
    "inception_score": ("classes", lambda rows: inception_score(rows).mean),
}
_FRECHET: Final = Measure(DISTANCE, False, _frechet)
MEASURES: Final[dict[str, Measure]] = {
    "fid": _FRECHET,
    "clip_fid": _FRECHET,
    "fd_dinov2": _FRECHET,
    "fid_infinity": Measure(DISTANCE, False, _extrapolated),
    "kid": Measure(DISCREPANCY, True, _kernel(kid_reference)),
    "cmmd": Measure(DISTANCE, True, _kernel(cmmd_reference)),
    "precision": Measure("fraction", True, _neighbours(lambda x, y: precision_recall(x, y).precision), False),
    "recall": Measure("fraction", True, _neighbours(lambda x, y: precision_recall(x, y).recall), False),
    "density": Measure("ratio", True, _neighbours(lambda x, y: density_coverage(x, y).density), False),
    "coverage": Measure("fraction", True, _neighbours(lambda x, y: density_coverage(x, y).coverage), False),
}
