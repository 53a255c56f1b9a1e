"""CLIP-score: one cosine between image and prompt, and three conventions that make 0.25 to 0.64 of it.

- ``hessel``: 2.5 max(cos, 0) for each pair, then the mean (Hessel et al. 2021).
- ``torchmetrics``: 100 cos for each pair, the mean, and only that mean clamped at 0
  (torchmetrics 1.9.0 ``functional/multimodal/clip_score.py``; its docstring has the maximum for each pair).
- ``cosine``: the plain mean cosine, which "CLIP score 0.3" in papers is.

Model, prefix and truncation are the caller's to name: they change the cosine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.fidelity.metrics.moments import Floats, as_rows
from lumina_eval.errors import UserError, unknown

Convention = Literal["hessel", "torchmetrics", "cosine"]

#: The weight w of Hessel et al. 2021, section 3.
HESSEL_WEIGHT: Final = 2.5

_PAIR: Final[Mapping[Convention, Callable[[Floats], Floats]]] = {
    "hessel": lambda cosines: HESSEL_WEIGHT * np.maximum(cosines, 0),
    "torchmetrics": lambda cosines: 100 * cosines,
    "cosine": lambda cosines: cosines,
}


def cosines(images: ArrayLike, texts: ArrayLike) -> Floats:
    """Return the cosine of each image (N, d) with its text (N, d), in [-1, 1].

    Raises UserError for sets of different shapes, or a row without length.
    """
    one, two = as_rows(images), as_rows(texts)
    if one.shape != two.shape:
        raise UserError(
            f"expected a text for each image and one width, found {one.shape} and {two.shape}; "
            "fix: embed both with the same model"
        )
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    if not lengths.all():
        raise UserError(
            f"expected embeddings with a length, found zeros in pair {int(np.flatnonzero(lengths == 0)[0])}; "
            "fix: look at that image and its prompt"
        )
    found: Floats = np.clip((one * two).sum(axis=1) / lengths, -1, 1)
    return found


def pair_scores(found: ArrayLike, convention: Convention) -> Floats:
    """Return what each pair's cosine (N,) adds to the mean: scores for intervals and paired comparisons."""
    if convention not in _PAIR:
        raise unknown("CLIP-score convention", convention, get_args(Convention))
    return _PAIR[convention](np.asarray(found, dtype=np.float64))


def clip_score(found: ArrayLike, convention: Convention) -> float:
    """Return the score of cosines (N,) by one of the conventions. Raises UserError for no pairs."""
    scores: NDArray[Any] = pair_scores(found, convention)
    if not scores.size:
        raise UserError("expected at least one image with its prompt, found none; fix: give images")
    mean = float(scores.mean())
    return max(mean, 0.0) if convention == "torchmetrics" else mean
