"""Squared maximum mean discrepancy (MMD²): distances without a Gaussian, and with an estimate without bias.

KID is the MMD² of the cubic kernel on Inception features (Bińkowski et al. 2018), CMMD that of a wide
Gaussian on CLIP's, times 1000 (Jayasumana et al. 2024). The U-statistic over *all* pairs is unbiased at every
N, has no seed and the least variance; it may be slightly negative. Kernel matrices exist block by block only,
so memory does not grow with the sets, which may be memory-mapped (CMMD holds its unit vectors). What tools
publish from random subsets is in :mod:`benchmarks.fidelity.metrics.kernel_subsets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.jackknife import Groups, Jackknife
from benchmarks.fidelity.metrics.moments import Floats, as_rows
from lumina_eval.errors import UserError

Kernel = Callable[[Floats, Floats], Floats]
"""(N, d) and (M, d) to (N, M)."""

#: Rows of a block: 8 MiB of kernel values.
BLOCK: Final = 1024
#: Bandwidth and factor of CMMD (google-research ``cmmd/distance.py``, ``_SIGMA`` and ``_SCALE``).
CMMD_SIGMA: Final = 10.0
CMMD_SCALE: Final = 1000.0


def cubic(x: Floats, y: Floats) -> Floats:
    """Return (x·y / d + 1)³, the kernel of KID (Bińkowski et al. 2018, section 4)."""
    base: Floats = x @ y.T / x.shape[1] + 1
    return base * base * base


def gaussian(x: Floats, y: Floats) -> Floats:
    """Return exp(-|x - y|² / 2σ²) with CMMD's σ = 10."""
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.exp(-np.maximum(squares, 0) / (2 * CMMD_SIGMA**2)))


@dataclass(frozen=True)
class Discrepancy:
    """MMD² of a generated set from a reference, in the kernel's unit times ``scale``."""

    value: float
    """The U-statistic; unbiased."""
    biased: float
    """The V-statistic with the diagonals, at least 0: what CMMD's authors publish; its bias is c / N."""
    groups: Jackknife | None
    """Over the prompts of the generated set, and of the reference where it is of the same; None without."""


class KernelReference:
    """One side of many discrepancies; the sums within it are taken once."""

    def __init__(
        self,
        rows: NDArray[Any],
        kernel: Kernel,
        scale: float = 1.0,
        block: int = BLOCK,
        prepared: Callable[[NDArray[Any]], NDArray[Any]] = lambda rows: rows,
    ) -> None:
        """``prepared`` is done to the rows of either side once, before any kernel."""
        _enough(rows)
        self._rows, self._kernel, self._scale, self._block = prepared(rows), kernel, scale, block
        self._prepared = prepared
        self._within, self._diagonal = _sums_within(self._rows, kernel, block)

    def discrepancy(self, rows: NDArray[Any], groups: Groups | None = None) -> Discrepancy:
        """Compare generated rows (N, d) with the reference; ``groups`` are of these rows.

        Raises UserError for fewer than two rows or for another width than the reference's.
        """
        _enough(rows)
        if rows.shape[1] != self._rows.shape[1]:
            raise UserError(
                f"expected features of one width, found {rows.shape[1]} and {self._rows.shape[1]}; "
                "fix: use the same extractor for both sets"
            )
        rows = self._prepared(rows)
        within, diagonal = _sums_within(rows, self._kernel, self._block)
        across, back = _sums_across(rows, self._rows, self._kernel, self._block)
        n, m = len(within), len(self._within)
        own, other, both = within.sum(), self._within.sum(), across.sum()

        def unbiased(own: Any, n: Any, other: Any, m: Any, both: Any) -> Any:
            return self._scale * (own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * both / (n * m))

        value = float(unbiased(own, n, other, m, both))
        biased = (own + diagonal) / n**2 + (other + self._diagonal) / m**2 - 2 * both / (n * m)
        jackknife = None
        if groups is not None:
            without = []
            for group, size in enumerate(groups.sizes):
                out = groups.index == group
                inner = _sums_within(rows[out], self._kernel, self._block)[0].sum()
                left = own - 2 * within[out].sum() + inner
                shared = both - across[out].sum()
                if groups.reference is None:
                    without.append(float(unbiased(left, n - size, other, m, shared)))
                    continue
                gone = groups.reference == group
                inner = _sums_within(self._rows[gone], self._kernel, self._block)[0].sum()
                other_left = other - 2 * self._within[gone].sum() + inner
                # What is between the two that are left out was taken from the sum twice.
                between = _sums_across(rows[out], self._rows[gone], self._kernel, self._block)[0].sum()
                shared += between - back[gone].sum()
                without.append(float(unbiased(left, n - size, other_left, m - gone.sum(), shared)))
            jackknife = Jackknife.of(value, without, groups)
        return Discrepancy(value, float(self._scale * biased), jackknife)


def kid_reference(rows: NDArray[Any]) -> KernelReference:
    """Return the reference of KID: Inception features (M, d)."""
    return KernelReference(rows, cubic)


def cmmd_reference(rows: NDArray[Any]) -> KernelReference:
    """Return the reference of CMMD: CLIP embeddings (M, d).

    These, and the generated ones compared with them, are scaled to length 1 as in ``cmmd/embedding.py``: a
    copy of either in float64. Raises UserError for a row of zeros.
    """
    return KernelReference(rows, gaussian, scale=CMMD_SCALE, prepared=of_length_one)


def of_length_one(rows: NDArray[Any]) -> Floats:
    """Return rows (N, d) scaled to length 1. Raises UserError for a row of zeros, NaN or infinity."""
    found = as_rows(rows)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not lengths.all():
        raise UserError(
            f"expected features with a length, found zeros in row {int(np.flatnonzero(lengths == 0)[0])}; "
            "fix: look at that image"
        )
    return np.asarray(found / lengths)


def _enough(rows: NDArray[Any]) -> None:
    if rows.ndim != 2 or len(rows) < 2:
        raise UserError(
            f"expected features of at least 2 images for a kernel distance, found shape {rows.shape}; "
            "fix: give more images"
        )


def _sums_within(rows: NDArray[Any], kernel: Kernel, block: int) -> tuple[Floats, float]:
    """Return for each row the sum over the *other* rows (N,), and the sum of the diagonal."""
    sums, diagonal = np.zeros(len(rows)), 0.0
    for i in range(0, len(rows), block):
        one = as_rows(rows[i : i + block], first=i)
        values = kernel(one, one)
        diagonal += float(np.trace(values))
        sums[i : i + block] += values.sum(axis=1) - np.diagonal(values)
        for j in range(i + block, len(rows), block):
            values = kernel(one, as_rows(rows[j : j + block], first=j))
            sums[i : i + block] += values.sum(axis=1)
            sums[j : j + block] += values.sum(axis=0)
    return sums, diagonal


def _sums_across(x: NDArray[Any], y: NDArray[Any], kernel: Kernel, block: int) -> tuple[Floats, Floats]:
    """Return for each row of ``x`` the sum over ``y`` (N,), and the other way round (M,)."""
    there, back = np.zeros(len(x)), np.zeros(len(y))
    for i in range(0, len(x), block):
        one = as_rows(x[i : i + block], first=i)
        for j in range(0, len(y), block):
            values = kernel(one, as_rows(y[j : j + block], first=j))
            there[i : i + block] += values.sum(axis=1)
            back[j : j + block] += values.sum(axis=0)
    return there, back
