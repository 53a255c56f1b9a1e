"""Fidelity and diversity apart: does each generated image look real, and is each real one met?

Around each image lies a ball that reaches to its k-th nearest neighbour in its own set.

- precision: part of the generated images in a ball of the reference; recall: part of the reference in a ball
  of the generated ones (Kynkäänniemi et al. 2019, k = 3; boundary included).
- density: number of the reference's balls around a generated image, over k, on average; may be above 1.
  coverage: part of the reference's balls with a generated image in them (Naeem et al. 2020,
  k = 5; boundary excluded, as in their ``prdc.py``).

Distances are computed block by block and never stored; the sets may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.moments import Floats, as_rows
from lumina_eval.errors import UserError

#: Rows of a block: 8 MiB of distances.
BLOCK: Final = 1024
#: Squared distances below this part of the squared lengths are rounding: copies of one image are at 0.
COPY: Final = 1e-12


class PrecisionRecall(NamedTuple):
    """Both from 0 to 1."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density from 0 up, 1 in expectation for equal distributions; coverage from 0 to 1."""

    density: float
    coverage: float


def precision_recall(
    generated: NDArray[Any], reference: NDArray[Any], k: int = 3, block: int = BLOCK
) -> PrecisionRecall:
    """Return both for rows (N, d) and (M, d). Raises UserError for sets of k or fewer images."""
    _checked(generated, reference, k)
    own, real = squared_radii(generated, k, block), squared_radii(reference, k, block)
    precise, recalled = np.zeros(len(generated), dtype=bool), np.zeros(len(reference), dtype=bool)
    for x, y, squares in _blocks(generated, reference, block):
        precise[x] |= (squares <= real[y]).any(axis=1)
        recalled[y] |= (squares <= own[x, None]).any(axis=0)
    return PrecisionRecall(float(precise.mean()), float(recalled.mean()))


def density_coverage(
    generated: NDArray[Any], reference: NDArray[Any], k: int = 5, block: int = BLOCK
) -> DensityCoverage:
    """Return both for rows (N, d) and (M, d). Raises UserError for a reference of k or fewer images."""
    _checked(generated, reference, k, own=False)
    real = squared_radii(reference, k, block)
    balls, covered = 0, np.zeros(len(reference), dtype=bool)
    for _, y, squares in _blocks(generated, reference, block):
        inside = squares < real[y]
        balls += int(inside.sum())
        covered[y] |= inside.any(axis=0)
    return DensityCoverage(balls / (k * len(generated)), float(covered.mean()))


def squared_radii(rows: NDArray[Any], k: int, block: int = BLOCK) -> Floats:
    """Return the squared distance of each row to its k-th nearest other row, (N,)."""
    radii = np.empty(len(rows))
    for start in range(0, len(rows), block):
        x = as_rows(rows[start : start + block], first=start)
        # A row is its own nearest, so k + 1 are kept.
        nearest = np.full((len(x), k + 1), np.inf)
        for other in range(0, len(rows), block):
            y = as_rows(rows[other : other + block], first=other)
            nearest = np.partition(np.concatenate([nearest, _squares(x, y)], axis=1), k, axis=1)[:, : k + 1]
        radii[start : start + block] = nearest[:, k]
    return radii


def _blocks(one: NDArray[Any], two: NDArray[Any], block: int) -> Iterator[tuple[slice, slice, Floats]]:
    """Yield places in both sets and the squared distances between them, (B, C)."""
    for i in range(0, len(one), block):
        x = as_rows(one[i : i + block], first=i)
        for j in range(0, len(two), block):
            y = as_rows(two[j : j + block], first=j)
            yield slice(i, i + len(x)), slice(j, j + len(y)), _squares(x, y)


def _squares(x: Floats, y: Floats) -> Floats:
    """Return the squared distances between rows, (B, C)."""
    lengths = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
    squares: Floats = lengths - 2 * x @ y.T
    squares[squares < COPY * lengths] = 0.0
    return squares


def _checked(generated: NDArray[Any], reference: NDArray[Any], k: int, own: bool = True) -> None:
    for name, rows, least in (("generated", generated, k + 1 if own else 1), ("reference", reference, k + 1)):
        if rows.ndim != 2 or len(rows) < least:
            raise UserError(
                f"expected features of at least {least} images in the {name} set for {k} neighbours, found "
                f"shape {rows.shape}; fix: give more images"
            )
    if generated.shape[1] != reference.shape[1]:
        raise UserError(
            f"expected features of one width, found {generated.shape[1]} and {reference.shape[1]}; "
            "fix: use the same extractor for both sets"
        )
