"""The Fréchet distance between two Gaussians: the formula of FID, CLIP-FID and FD-DINOv2 on any features.

    |m1 - m2|² + Tr S1 + Tr S2 - 2 Tr (S1 S2)^½        (Heusel et al. 2017)

With a factor S2 = F Fᵀ, the matrix S1 S2 has the eigenvalues of the symmetric Fᵀ S1 F. Their roots add up to
the last trace without any matrix square root: real and non-negative, with no complex part to discard and no
1e-6 on the diagonal as in the tools that call ``sqrtm``. F is Cholesky's where S2 is positive definite, else
Cholesky's with pivoting, cut at the rank: rounding errors of empty directions would enter by their roots.

One distance keeps to two cores. The reduction to a tridiagonal matrix gains little from more, and its
thousands of small steps wait for each other wherever another program has taken a core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack
from threadpoolctl import threadpool_limits

from benchmarks.fidelity.metrics.moments import Floats, Moments
from lumina_eval.errors import UserError

#: Widths up to this are done sooner than the libraries are asked to keep to some cores.
SMALL = 256
#: Cores for one distance, unless said otherwise.
CORES = 2


@dataclass(frozen=True)
class Factor:
    """F of a covariance F Fᵀ."""

    matrix: Floats
    """(d, rank)"""
    triangular: bool
    """Lower triangular, of full rank."""

    @property
    def rank(self) -> int:
        """Directions that are not empty."""
        return int(self.matrix.shape[1])


class FrechetReference:
    """One side of many distances; its factor is computed once."""

    def __init__(self, moments: Moments, cores: int = CORES) -> None:
        self.moments, self._cores = moments, cores
        with on_cores(moments.width, cores):
            self._factor = factor_of(moments)

    def distance(self, sample: Moments, cores: int | None = None) -> float:
        """Return the distance from ``sample``, at least 0. Raises UserError for another width."""
        one, two = sample, self.moments
        if one.width != two.width:
            raise UserError(
                f"expected features of one width, found {one.width} and {two.width}; "
                "fix: use the same extractor for both sets"
            )
        with on_cores(one.width, cores or self._cores):
            factor = factor_of(one)
            rank = min(factor.rank, self._factor.rank)
            if factor.rank < self._factor.rank:
                inner = congruence(two.covariance, factor)
            else:
                inner = congruence(one.covariance, self._factor)
            # No more of them can differ from zero than the lower rank, and none is negative but by rounding.
            eigenvalues = np.linalg.eigvalsh(inner)[len(inner) - rank :]
        roots = float(np.sqrt(np.maximum(eigenvalues, 0)).sum())
        shift = one.mean - two.mean
        spread = float(np.trace(one.covariance) + np.trace(two.covariance))
        return max(0.0, float(shift @ shift) + spread - 2 * roots)


def frechet_distance(one: Moments, two: Moments) -> float:
    """Return the Fréchet distance of two Gaussians, squared as FID is, at least 0.

    Raises UserError if their widths differ; :class:`Moments` are finite by construction.
    """
    return FrechetReference(two).distance(one)


def factor_of(moments: Moments) -> Factor:
    """Return a factor of the covariance, of its numerical rank; N rows span at most N - 1 directions."""
    covariance, width = moments.covariance, moments.width
    most = width if moments.n is None else min(width, moments.n - 1)
    floor = width * np.finfo(np.float64).eps * float(np.diagonal(covariance).max(initial=0.0))
    if most == width:
        lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
        if not failed and np.diagonal(lower).min() ** 2 > floor:
            return Factor(lower, triangular=True)
    lower, pivots, rank, _ = lapack.dpstrf(covariance, lower=1, tol=floor)
    matrix = np.zeros((width, min(int(rank), most)))
    matrix[pivots - 1] = np.tril(lower)[:, : matrix.shape[1]]
    return Factor(matrix, triangular=False)


def congruence(covariance: Floats, factor: Factor) -> Floats:
    """Return Fᵀ S F, symmetric, (rank, rank)."""
    if factor.triangular:
        right = blas.dtrmm(1.0, factor.matrix, covariance, side=1, lower=1)
        inner = blas.dtrmm(1.0, factor.matrix, right, side=0, lower=1, trans_a=1, overwrite_b=1)
    else:
        inner = factor.matrix.T @ covariance @ factor.matrix
    return np.asarray((inner + inner.T) / 2, dtype=np.float64)


@contextlib.contextmanager
def on_cores(width: int, cores: int) -> Iterator[None]:
    """Keep linear algebra within the ``with`` block to some cores, unless the matrices are small anyway."""
    with contextlib.nullcontext() if width <= SMALL else threadpool_limits(cores):
        yield
