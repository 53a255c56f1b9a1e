"""The pattern on a thing, from the variation of lightness inside its outline."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.sight.matching import Pose
from benchmarks.tabletop.sight.templates import CELLS, SIDE, cells, patterns
from benchmarks.tabletop.world.vocabulary import SHAPES, TEXTURES

Floats = npt.NDArray[np.float32]

#: A pattern may sit off its place by this much, in diameters (generators do not know the grid).
SHIFTS: Final = (0.0, -0.06, 0.06)
#: Least product of the share of variance that a pattern explains and its contrast (1: the two tones in full).
EVIDENCE: Final = 0.105
#: Standard deviation of the tone below which a surface is plain without a closer look.
FLAT: Final = 0.1


def texture(tone: Floats, inside: npt.NDArray[np.bool_], pose: Pose) -> str:
    """Name the texture.

    Args:
        tone: (side, side), 0 for the first tone of the colour, 1 for the second; read where ``inside``.
        inside: pixels well within the visible part of the thing.
        pose: how the thing lies.
    """
    rows, columns = np.nonzero(inside)
    if len(rows) < 12:
        return "plain"
    values = tone[rows, columns].astype(np.float64)
    depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    # A blurred rim is darker or lighter all around: what the distance to the rim explains is no pattern.
    rim = np.stack([np.ones(len(rows))] + [depth[rows, columns] < k + 1.5 for k in range(_rims(len(tone)))])
    basis, _ = np.linalg.qr(rim.T.astype(np.float64))
    values -= basis @ (basis.T @ values)
    spread = float(np.sqrt((values**2).mean()))
    if spread < FLAT:
        return "plain"
    u, v = pose.frame(columns.astype(np.float32) + 0.5, rows.astype(np.float32) + 0.5)
    place = cells(u, v)
    tables = patterns()[SHAPES.index(pose.shape)].reshape(len(TEXTURES) - 1, -1)
    offsets = [(round(a * CELLS) * SIDE + round(b * CELLS)) for a in SHIFTS for b in SHIFTS]
    spots = np.clip(place[None, :] + np.array(offsets)[:, None], 0, SIDE * SIDE - 1)
    expected = tables[:, spots].astype(np.float64)  # (patterns, shifts, pixels)
    expected -= (expected @ basis) @ basis.T
    power = (expected**2).sum(axis=2)
    product = expected @ values
    explained = product**2 / np.maximum(power, 1e-9) / float((values**2).sum())
    contrast = np.abs(product) / np.maximum(power, 1e-9)
    evidence = np.where(power > 0.02 * len(values), explained * contrast, 0.0).max(axis=1)
    best = int(np.argmax(evidence))
    return TEXTURES[1 + best] if evidence[best] > EVIDENCE else "plain"


def _rims(side: int) -> int:
    """Return how many layers of pixels an autoencoder may blur, at a picture of the given side."""
    return max(1, round(side / 48))
