"""Which pixels are table, and which belong to a thing of which colour.

The background is estimated from the picture itself. Every other pixel is explained as a mixture of the
background and the two tones of a colour word, as antialiasing mixes them; the share of the thing is the
pixel's opacity. Costs are compared in CIELAB, after they are averaged over a small neighbourhood.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.world.vocabulary import COLORS, SHADES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

#: Shares of a thing in a pixel, and of the second tone within the thing, that mixtures are made of.
OPACITIES: Final = (0.25, 0.5, 0.75, 1.0)
TONES: Final = (0.0, 0.5, 1.0)
#: Cost in units of CIELAB distance of explaining a pixel as transparent: a covered pixel is likelier.
TRANSPARENCY_COST: Final = 7.0
#: Lightness counts less than hue and chroma: shading and autoencoders change it more.
LIGHTNESS_WEIGHT: Final = 0.75
#: CIELAB distance from the background below which a pixel is table.
TABLE_DISTANCE: Final = 7.0
#: Largest cost of one pixel, so that a stray pixel does not outvote its neighbours.
COST_LIMIT: Final = 45.0


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """What each pixel shows."""

    lab: Floats
    """(side, side, 3): the picture in CIELAB, lightness weighted."""
    background: Floats
    """(3,) sRGB, 0 to 1."""
    opacity: Floats
    """(side, side): share of the pixel that belongs to things, 0 to 1."""
    label: Ints
    """(side, side): index of the colour word in ``COLORS``; -1 for the table."""
    cost: Floats
    """(side, side, colours): distance to each colour word, averaged over neighbours."""


def segment(picture: npt.NDArray[np.uint8]) -> Segmentation:
    """Segment an sRGB picture, shape (side, side, 3)."""
    rgb = np.asarray(_smoothed(picture), np.float32) / np.float32(255)
    lab = to_lab(rgb)
    step = max(1, len(rgb) // 64)
    background = estimate_background(rgb[::step, ::step], lab[::step, ::step])
    front = _distance(lab, background) > TABLE_DISTANCE
    cost = np.full((*front.shape, len(COLORS)), COST_LIMIT, np.float32)
    points = _mixtures(background)
    if front.any():
        cost[front] = _costs(lab[front], points)
    weight = cv2.boxFilter(front.astype(np.float32), -1, (3, 3), normalize=False)
    pooled = cv2.boxFilter(np.where(front[..., None], cost, 0), -1, (3, 3), normalize=False)
    pooled = pooled.reshape(cost.shape) / np.maximum(weight, 1)[..., None]
    label = np.where(front, np.argmin(pooled, axis=2), -1).astype(np.int32)
    opacity = np.zeros(front.shape, np.float32)
    if front.any():
        opacity[front] = _shares(rgb[front], lab[front], label[front], background, points)
    return Segmentation(lab, background, opacity, label, pooled)


def to_lab(rgb: Floats) -> Floats:
    """Convert sRGB (0 to 1, any leading axes) to CIELAB with weighted lightness."""
    flat = np.ascontiguousarray(rgb, np.float32).reshape(1, -1, 3)
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)
    lab[..., 0] *= LIGHTNESS_WEIGHT
    return np.asarray(lab.reshape(rgb.shape), np.float32)


def estimate_background(rgb: Floats, lab: Floats) -> Floats:
    """Return the table's colour, sRGB 0 to 1: the middle of the rim, refined by all pixels like it."""
    ring = max(2, rgb.shape[0] // 24)
    rim = np.ones(rgb.shape[:2], dtype=np.bool_)
    rim[ring:-ring, ring:-ring] = False
    guess = np.median(rgb[rim], axis=0).astype(np.float32)
    for reach in (12.0, 6.0):
        near = _distance(lab, guess) < reach
        if near.any():
            guess = rgb[near].mean(axis=0).astype(np.float32)
    return guess


def _distance(lab: Floats, rgb: Floats) -> Floats:
    """Return (side, side): how far each pixel is from a colour, sRGB 0 to 1."""
    offset = lab - to_lab(rgb)
    return np.asarray(np.sqrt(np.einsum("ijk,ijk->ij", offset, offset)), np.float32)


@functools.cache
def tones() -> Floats:
    """Return (colours, tones, 3): each word's tones from first to second, sRGB 0 to 1."""
    first = np.array(list(COLORS.values()), np.float32) / 255
    second = np.array([SHADES[word] for word in COLORS], np.float32) / 255
    return np.stack([first + (second - first) * np.float32(t) for t in TONES], axis=1)


def _mixtures(background: Floats) -> Floats:
    """Return (colours, tones x opacities, 3): what the words look like over the table, in CIELAB."""
    shares = np.array(OPACITIES, np.float32)[:, None]
    mixed = background + (tones()[:, :, None, :] - background) * shares
    return to_lab(mixed).reshape(len(COLORS), -1, 3)


def _costs(lab: Floats, points: Floats) -> Floats:
    """Return (N, colours): how badly N pixels are explained by the best mixture with each word."""
    extra = np.tile(TRANSPARENCY_COST * (1 - np.array(OPACITIES, np.float32)), len(TONES)) ** 2
    own = (lab**2).sum(1)
    squared = [own + ((few**2).sum(1) + extra)[:, None] - 2 * few @ lab.T for few in points]
    best = np.stack([np.min(few, axis=0) for few in squared], axis=1)
    return np.asarray(np.minimum(np.sqrt(np.maximum(best, 0)), COST_LIMIT), np.float32)


def _shares(rgb: Floats, lab: Floats, label: Ints, background: Floats, points: Floats) -> Floats:
    """Return the opacity of N pixels under the words chosen for them, continuous from 0 to 1."""
    extra = np.tile(TRANSPARENCY_COST * (1 - np.array(OPACITIES, np.float32)), len(TONES)) ** 2
    offset = lab[:, None] - points[label]
    squared = np.einsum("nkc,nkc->nk", offset, offset) + extra
    way = tones()[label, np.argmin(squared, axis=1) // len(OPACITIES)] - background
    along = ((rgb - background) * way).sum(1) / np.maximum((way**2).sum(1), 1e-6)
    return np.asarray(np.clip(along, 0, 1), np.float32)


def _smoothed(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Take noise out while edges stay, as strongly as the noise that is there (Immerkaer's estimate)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    # The median, not Immerkaer's mean: outlines are no noise. |N(0, 6 s)| has median 4.05 s.
    sigma = float(np.median(np.abs(cv2.filter2D(grey, -1, kernel)))) / 4.05
    if sigma < 2.0:
        return picture
    return np.asarray(cv2.bilateralFilter(picture, 5, 4.5 * sigma + 8, 1.6), np.uint8)
