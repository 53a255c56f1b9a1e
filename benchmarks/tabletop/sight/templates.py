"""What the judge knows by heart: outlines and patterns, measured on enlarged pictures from the renderer.

All tables live in a thing's own frame (see :mod:`benchmarks.tabletop.world.renderer`), sampled on a square
grid that reaches :data:`REACH` bounding-circle diameters from the centre.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.world.renderer import render, silhouette
from benchmarks.tabletop.world.scene import Scene, Thing
from benchmarks.tabletop.world.vocabulary import COLORS, SHADES, SHAPES, SIZES, TEXTURES

Floats = npt.NDArray[np.float32]

#: Table cells per bounding-circle diameter: 0.1 pixel for a large thing at 128 px.
CELLS: Final = 240
#: How far from the centre the tables reach, in diameters; farther points take the value at the rim.
REACH: Final = 1.0
#: Table rows and columns.
SIDE: Final = int(2 * REACH * CELLS)


@dataclasses.dataclass(frozen=True)
class Outlines:
    """Per shape, in the order of ``SHAPES``, all in diameters."""

    distance: Floats
    """(shapes, SIDE, SIDE): signed distance to the outline, negative inside."""
    slope_x: Floats
    slope_y: Floats
    area: Floats
    """(shapes,): area in square diameters."""
    center: Floats
    """(shapes, 2): centre of gravity."""
    box: Floats
    """(shapes, 4): left, top, right, bottom."""


@functools.cache
def outlines() -> Outlines:
    """Measure the eight silhouettes."""
    distances, areas, centers, boxes = [], [], [], []
    for shape in SHAPES:
        inside = _on_grid(silhouette(_thing(shape), _picture_side()).astype(np.uint8))
        outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        inner = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Pixel centres lie half a cell from the outline that runs between them.
        distances.append((np.where(inside > 0, 0.5 - inner, outer - 0.5) / CELLS).astype(np.float32))
        rows, columns = np.nonzero(inside)
        x, y = (columns + 0.5) / CELLS - REACH, (rows + 0.5) / CELLS - REACH
        half = 0.5 / CELLS
        areas.append(len(x) / CELLS**2)
        centers.append((x.mean(), y.mean()))
        boxes.append((x.min() - half, y.min() - half, x.max() + half, y.max() + half))
    distance = np.stack(distances)
    slope_y, slope_x = np.gradient(distance, 1 / CELLS, axis=(1, 2))
    return Outlines(
        distance,
        slope_x.astype(np.float32),
        slope_y.astype(np.float32),
        np.array(areas, np.float32),
        np.array(centers, np.float32),
        np.array(boxes, np.float32),
    )


@functools.cache
def patterns() -> Floats:
    """Return (shapes, patterns, SIDE, SIDE): share of the second tone, 0 to 1; plain is left out."""
    tables = np.zeros((len(SHAPES), len(TEXTURES) - 1, SIDE, SIDE), np.float32)
    base, shade = COLORS["black"][0], SHADES["black"][0]
    for i, shape in enumerate(SHAPES):
        for k, texture in enumerate(TEXTURES[1:]):
            picture = render(Scene((_thing(shape, texture),), COLORS["black"]), _picture_side())
            tone = (_on_grid(picture[:, :, 0]).astype(np.float32) - base) / (shade - base)
            tables[i, k] = np.clip(tone, 0, 1)
    return tables


def cells(u: npt.NDArray[np.floating], v: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Return flat indices into a table of one shape for points (u, v) in the thing's frame."""
    column = np.clip(((u + REACH) * CELLS).astype(np.int32), 0, SIDE - 1)
    row = np.clip(((v + REACH) * CELLS).astype(np.int32), 0, SIDE - 1)
    found: npt.NDArray[np.intp] = row * SIDE + column
    return found


def _thing(shape: str, texture: str = "plain") -> Thing:
    return Thing(shape, "black", texture, "large", 0.5, 0.5)


def _picture_side() -> int:
    """Return the even side of a picture on which a large thing is ``CELLS`` pixels wide."""
    return 2 * round(CELLS / SIZES["large"] / 2)


def _on_grid(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Cut or pad the picture to the table, centre on centre."""
    spare = SIDE - picture.shape[0]
    if spare > 0:
        picture = np.pad(picture, ((spare // 2,) * 2,) * 2, mode="edge")
    cut = (picture.shape[0] - SIDE) // 2
    return np.ascontiguousarray(picture[cut : cut + SIDE, cut : cut + SIDE])
