"""Boxes and detections, with the two kinds of overlap that the official rules know.

Corners and scores pass through float32, as the detector gives them; all else is float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

#: A box as the public functions take it: [x_min, y_min, x_max, y_max], or an object with these names; pixels.
BoxLike = Mapping[str, float] | Sequence[float]


class Box(NamedTuple):
    """Corners in pixels, x to the right and y down."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def center(self) -> tuple[float, float]:
        """Return the middle, (x, y)."""
        return (self.x_min + self.x_max) / 2, (self.y_min + self.y_max) / 2


class Detection(NamedTuple):
    """One object that the detector found: where, how sure (0 to 1), and what."""

    box: Box
    score: float
    label: str


def box_of(box: BoxLike) -> Box:
    """Return the corners of a box, whichever way it is written."""
    if isinstance(box, Mapping):
        return Box(*(float(box[name]) for name in Box._fields))
    return Box(*(float(value) for value in box[:4]))


def detections_of(rows: Sequence[Sequence[Any]]) -> list[Detection]:
    """Return rows [x1, y1, x2, y2, score, label] as detections; numbers are what float32 makes of them."""
    return [
        Detection(Box(*(float(np.float32(value)) for value in row[:4])), float(np.float32(row[4])), row[5])
        for row in rows
    ]


def iou(a: Box, b: Box) -> float:
    """Return intersection over union, 0 to 1; two boxes without area have 0."""
    both = _extent(_intersection(a, b), 0.0)
    either = _extent(a, 0.0) + _extent(b, 0.0) - both
    return both / either if either else 0.0


def is_same_object(a: Box, b: Box, threshold: float) -> bool:
    """Tell whether two boxes are taken for one object when counting.

    True if IoU, or the share of either box that both have in common, is more than ``threshold``. Here, other
    than in :func:`iou`, the corner pixels belong to the box: sides are one longer.
    """
    both = _extent(_intersection(a, b), 1.0)
    areas = _extent(a, 1.0), _extent(b, 1.0)
    shares = (both / whole for whole in (sum(areas) - both, *areas) if whole)
    return any(share > threshold for share in shares)


def _intersection(a: Box, b: Box) -> Box:
    return Box(max(a.x_min, b.x_min), max(a.y_min, b.y_min), min(a.x_max, b.x_max), min(a.y_max, b.y_max))


def _extent(box: Box, more: float) -> float:
    return max(box.x_max - box.x_min + more, 0.0) * max(box.y_max - box.y_min + more, 0.0)
