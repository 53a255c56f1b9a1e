"""The Inception Score: how sure a classifier is of each image, and how many classes it sees.

    exp of the mean over images of KL(p(y|x) || p(y)), for each of ten splits      (Salimans et al. 2016)

It knows no reference, and ImageNet's classes are not the prompts': reported last, and least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from benchmarks.fidelity.metrics.moments import as_rows
from lumina_eval.errors import UserError


class InceptionScore(NamedTuple):
    """Over the splits; the deviation is between splits, and no standard error."""

    mean: float
    std: float


def inception_score(logits: ArrayLike, splits: int = 10, seed: int | None = 2020) -> InceptionScore:
    """Return the score of classifier outputs (N, classes) before the softmax: 1 to the number of classes.

    Splits, their order and seed are those of torch-fidelity 0.4.0 (``metric_isc.py``,
    ``isc_features_to_metric``); a ``seed`` of None leaves the images in the order given. Raises UserError for
    fewer images than splits.
    """
    rows = as_rows(logits)
    if len(rows) < splits:
        raise UserError(
            f"expected at least {splits} images for {splits} splits, found {len(rows)}; fix: give more images"
        )
    if seed is not None:
        rows = rows[np.random.RandomState(seed).permutation(len(rows))]
    logs = log_softmax(rows, axis=1)
    scores = []
    for split in range(splits):
        chunk = logs[split * len(rows) // splits : (split + 1) * len(rows) // splits]
        # A class that no image of the split has any probability of adds nothing.
        with np.errstate(divide="ignore"):
            marginal = np.log(np.exp(chunk).mean(axis=0))
        apart = np.where(np.isfinite(marginal), chunk - marginal, 0.0)
        scores.append(np.exp((np.exp(chunk) * apart).sum(axis=1).mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))
