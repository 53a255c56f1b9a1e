"""KID as two tools publish it: the mean over random subsets, with their seeds and order of draws.

Both are noisy estimates of what :mod:`benchmarks.fidelity.metrics.kernel` computes without a seed. Each uses
a generator of its own; the arithmetic is in the float type of the features, as theirs is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError

Rows = NDArray[np.floating[Any]]


def kid_torch_fidelity(
    generated: Rows, reference: Rows, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> float:
    """Return torch-fidelity's KID of rows (N, d) and (M, d).

    Defaults and draws are those of torch-fidelity 0.4.0 (``metric_kid.py``, ``kid_features_to_metric``): its
    first input, which draws first, is the generated set. Raises UserError for a set smaller than a subset.
    """
    _checked(generated, reference, size)
    rng = np.random.RandomState(seed)
    values = np.zeros(subsets)
    for subset in range(subsets):
        x = generated[rng.choice(len(generated), size, replace=False)]
        y = reference[rng.choice(len(reference), size, replace=False)]
        own, other, both = (_kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))
        inside = (own.sum(axis=1) - np.diagonal(own)).sum() + (other.sum(axis=1) - np.diagonal(other)).sum()
        values[subset] = inside / (size * (size - 1)) - 2 * both.sum(axis=0).sum() / (size * size)
    return float(values.mean())


def kid_clean_fid(
    generated: Rows, reference: Rows, subsets: int = 100, most: int = 1000, seed: int = 0
) -> float:
    """Return clean-fid's KID of rows (N, d) and (M, d), as after ``numpy.random.seed(seed)``.

    clean-fid 0.1.35 (``fid.py``, ``kernel_distance``) draws from numpy's global generator, which it never
    seeds, from its second set first; that is the generated one where it compares with statistics (line 416).
    Subsets are as large as the smaller set, at most ``most``.
    """
    size = min(len(generated), len(reference), most)
    _checked(generated, reference, size)
    width, rng = generated.shape[1], np.random.RandomState(seed)
    total = 0.0
    for _ in range(subsets):
        x = generated[rng.choice(len(generated), size, replace=False)]
        y = reference[rng.choice(len(reference), size, replace=False)]
        # Its order of operations: a division here, where torch-fidelity multiplies by the inverse.
        inside = (x @ x.T / width + 1) ** 3 + (y @ y.T / width + 1) ** 3
        across = (x @ y.T / width + 1) ** 3
        total += float((inside.sum() - np.diag(inside).sum()) / (size - 1) - across.sum() * 2 / size)
    return total / subsets / size


def _kernel(x: Rows, y: Rows) -> Rows:
    product: Rows = (x @ y.T * (1.0 / x.shape[1]) + 1) ** 3
    return product


def _checked(generated: Rows, reference: Rows, size: int) -> None:
    for name, rows in (("generated", generated), ("reference", reference)):
        if rows.ndim != 2 or len(rows) < size or size < 2:
            raise UserError(
                f"expected at least {max(size, 2)} images in each subset, found features of shape "
                f"{rows.shape} in the {name} set; fix: give more images or a smaller subset size"
            )
        if not np.isfinite(rows).all():
            raise UserError(
                f"expected finite features, found NaN or infinity in the {name} set; "
                "fix: run the extractor in float32"
            )
    if generated.shape[1] != reference.shape[1]:
        raise UserError(
            f"expected features of one width, found {generated.shape[1]} and {reference.shape[1]}; "
            "fix: use the same extractor for both sets"
        )
