"""Mean and covariance of a set of features: all that a Fréchet distance knows of it.

Rows come in batches and are never held together; memory is one (d, d) matrix. Sums are taken about the mean
in float64 (the pairwise update of Chan, Golub and LeVeque 1983), because the running sums of squares that
other tools keep lose as many digits as the mean is larger than the spread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumina_eval.errors import UserError

Floats = NDArray[np.float64]

#: Rows that are widened to float64 at once: 16 MiB at d = 2048.
BLOCK = 1024


@dataclass(frozen=True)
class Moments:
    """What is left of a set of N rows of d features."""

    n: int | None
    """Number of rows; None where a statistics file does not tell it."""
    mean: Floats
    """(d,)"""
    covariance: Floats
    """(d, d), symmetric, with N - 1 in the denominator as in ``numpy.cov``."""

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.covariance.shape != (len(self.mean), len(self.mean)):
            raise UserError(
                "expected a mean of shape (d,) and a covariance of shape (d, d), found "
                f"{self.mean.shape} and {self.covariance.shape}; fix: compute the statistics again"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise UserError(
                "expected finite statistics, found NaN or infinity in mean or covariance; "
                "fix: compute them again from finite features"
            )

    @classmethod
    def of(cls, features: ArrayLike) -> Moments:
        """Return the moments of rows (N, d); a memory-mapped array is read block by block.

        Raises UserError for fewer than two rows, another shape, or a row that is not finite.
        """
        running = RunningMoments()
        for block in blocks_of(features):
            running.update(block)
        return running.moments()

    @property
    def width(self) -> int:
        """Features per row."""
        return len(self.mean)

    def without(self, rows: ArrayLike) -> Moments:
        """Return the moments of the set after ``rows`` (M, d), which are of it, are taken out.

        For M small against N: what is left is a difference. Raises UserError if fewer than two would be left.
        """
        out = as_rows(rows)
        if self.n is None or self.n - len(out) < 2:
            raise UserError(
                f"expected at least 2 images beside the {len(out)} that are left out, found "
                f"{'an unknown number' if self.n is None else self.n} in all; fix: give more images"
            )
        left = self.n - len(out)
        about = out - self.mean
        shift = about.sum(axis=0) / left
        scatter = self.covariance * (self.n - 1) - about.T @ about - np.outer(shift, shift) * left
        return Moments(left, self.mean - shift, scatter / (left - 1))


class RunningMoments:
    """Moments that grow batch by batch; the order of the batches matters only to the last digits."""

    def __init__(self) -> None:
        self.n = 0
        self._mean: Floats = np.zeros(0)
        self._scatter: Floats = np.zeros((0, 0))

    def update(self, batch: ArrayLike) -> None:
        """Add rows (B, d) of any B. Raises UserError for another width than before, or NaN or infinity."""
        rows = as_rows(batch, first=self.n)
        if not len(rows):
            return
        if not self.n:
            self._mean, self._scatter = np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2)
        mean = rows.mean(axis=0)
        self._add(len(rows), mean, rows - mean)

    def moments(self) -> Moments:
        """Return the moments of all rows so far. Raises UserError if there are fewer than two."""
        if self.n < 2:
            raise UserError(
                f"expected at least 2 images for a covariance, found {self.n}; fix: give more images"
            )
        return Moments(self.n, self._mean.copy(), self._scatter / (self.n - 1))

    def _add(self, n: int, mean: Floats, about: Floats) -> None:
        """Add ``n`` rows by their mean and their deviations from it."""
        if self._mean.shape != mean.shape:
            raise UserError(
                f"expected rows of {len(self._mean)} features as before, found {len(mean)}; "
                "fix: use one extractor for the whole set"
            )
        total = self.n + n
        shift = mean - self._mean
        # The shift of the mean enters the scatter as one more deviation.
        rows = np.vstack([about, shift * np.sqrt(self.n * n / total)])
        self._scatter += rows.T @ rows
        self._mean = self._mean + shift * (n / total)
        self.n = total


def blocks_of(features: ArrayLike, size: int = BLOCK) -> Iterable[NDArray[np.generic]]:
    """Yield the rows of ``features`` in order, at most ``size`` at a time."""
    rows = np.asanyarray(features)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def as_rows(features: ArrayLike, first: int = 0) -> Floats:
    """Return features (N, d) as float64. Raises UserError for another shape, or for NaN or infinity.

    ``first`` is the number of the first row, for the message.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        raise UserError(
            f"expected features of shape (images, width), found {rows.shape}; fix: one row for each image"
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise UserError(
            f"expected finite features, found NaN or infinity in {len(bad)} of {len(rows)} rows, the first "
            f"is row {first + int(bad[0])}; fix: look at that image, or run the extractor in float32"
        )
    return rows
