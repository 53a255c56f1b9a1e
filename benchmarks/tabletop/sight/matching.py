"""Which shape an outline has, and how the thing lies: Gauss-Newton on position, size and tilt of all shapes.

A template's coverage of a pixel follows from its signed distance to the outline, so that a fit is good to a
fraction of a pixel. Pixels of other things are left out of the fit: what is hidden there, nobody knows.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.sight.templates import cells, outlines
from benchmarks.tabletop.world.vocabulary import SHAPES

Floats = npt.NDArray[np.float32]

#: Fits run on at most this many pixels a side; larger cut-outs are averaged down.
FIT_SIDE: Final = 28
#: Half width in pixels of the soft edge, per iteration: wide first, so that far starts converge.
EDGE: Final = (2.5, 1.8, 1.2, 1.0, 0.8, 0.7, 0.6, 0.6)
#: Hypotheses kept after each iteration.
KEPT: Final = (16, 8, 5, 4, 3, 3, 3, 3)
#: Overlap (intersection over union) by which a shape may be worse than the best and still be considered.
DOUBT: Final = 0.08
#: Degrees of tilt that are one standard deviation, and the most there may be.
TILT_SPREAD: Final = 10.0
TILT_LIMIT: Final = 20.0
#: Blurs that an autoencoder may add, in 64ths of the picture's side.
BLURS: Final = (0.4, 0.7, 1.0, 1.4)
#: Weight of a pixel that belongs to another thing.
HIDDEN_WEIGHT: Final = 0.03


@dataclasses.dataclass(frozen=True)
class Pose:
    """How a shape lies: centre and bounding-circle diameter in pixels, tilt in degrees clockwise."""

    shape: str
    x: float
    y: float
    diameter: float
    tilt: float

    @property
    def area(self) -> float:
        """Area of the complete silhouette in square pixels."""
        return float(outlines().area[SHAPES.index(self.shape)]) * self.diameter**2

    def frame(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Map pixel coordinates to the thing's own frame."""
        turn = math.radians(self.tilt)
        dx, dy = (x - self.x) / self.diameter, (y - self.y) / self.diameter
        return dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)

    def coverage(self, side: int) -> Floats:
        """Return the share of each pixel that the silhouette covers, (side, side)."""
        axis = np.arange(side, dtype=np.float32) + 0.5
        u, v = self.frame(axis[None, :], axis[:, None])
        distance = outlines().distance[SHAPES.index(self.shape)].ravel()[cells(u, v)]
        return np.asarray(np.clip(0.5 - distance * np.float32(self.diameter), 0, 1), np.float32)


def fit(opacity: Floats, other: npt.NDArray[np.bool_], *, thorough: bool = False) -> list[Pose]:
    """Find the shapes that one thing may have, each with how it would lie; largest overlap first.

    Shapes whose overlap on visible pixels is worse than the best by more than :data:`DOUBT` are left out,
    unless the search is ``thorough``: a blurred outline may overlap best with a shape that it is not.

    Args:
        opacity: (side, side), share of each pixel that the thing covers.
        other: (side, side), pixels that belong to other things.
    """
    top, bottom, left, right = _cutout(opacity)
    seen, care = opacity[top:bottom, left:right], 1.0 - other[top:bottom, left:right]
    step = max(1, math.ceil(max(seen.shape) / FIT_SIDE))
    care = np.maximum(_shrunk(care.astype(np.float32), step), HIDDEN_WEIGHT).ravel()
    small = _shrunk(seen, step)
    rows, columns = small.shape
    x = np.tile(np.arange(columns, dtype=np.float32) + 0.5, rows)
    y = np.repeat(np.arange(rows, dtype=np.float32) + 0.5, columns)
    shapes, poses = _starts(small)
    target = small.ravel()
    score = np.zeros(len(shapes), np.float32)
    for edge, kept in zip(EDGE, KEPT, strict=True):
        poses, score = _improve(shapes, poses, x, y, target, care, edge)
        best = np.argsort(-score, kind="stable")
        if thorough:
            kept = len(SHAPES)
            best = best[np.sort(np.unique(shapes[best], return_index=True)[1])]
        if len(shapes) > kept:
            shapes, poses, score = shapes[best[:kept]], poses[best[:kept]], score[best[:kept]]
    score = _agreement(_phi(shapes, poses, x, y)[0], target, care, 0.5)
    found: dict[str, Pose] = {}
    for i in np.argsort(-score, kind="stable"):
        name = SHAPES[int(shapes[i])]
        if name not in found and (thorough or score[i] >= score.max() - DOUBT):
            cx, cy, diameter, tilt = (float(value) for value in poses[i])
            found[name] = Pose(name, cx * step + left, cy * step + top, diameter * step, math.degrees(tilt))
    return list(found.values())


def deviation(covered: Floats, opacity: Floats, other: npt.NDArray[np.bool_]) -> float:
    """Return the mean distance between the outlines of template and thing, in 64ths of the picture's side.

    It is the area on which they disagree over the length of the visible outline. The template is blurred as
    much as the picture seems to be, so that softness alone is no deviation.
    """
    top, bottom, left, right = _cutout(np.maximum(covered, opacity))
    covered, seen = covered[top:bottom, left:right], opacity[top:bottom, left:right]
    care = 1.0 - other[top:bottom, left:right]
    unit = len(opacity) / 64
    slope = [cv2.Sobel(covered, -1, dx, dy, ksize=3, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))]
    length = float((np.hypot(*slope) * care).sum())
    blurred = [covered, *(cv2.GaussianBlur(covered, (0, 0), sigma * unit) for sigma in BLURS)]
    return min(float((np.abs(soft - seen) * care).sum()) for soft in blurred) / max(length, 1.0) / unit


def _cutout(opacity: Floats) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a window with room for what may be hidden."""
    rows, columns = np.flatnonzero((opacity > 0.5).any(1)), np.flatnonzero((opacity > 0.5).any(0))
    room = 3 + max(rows[-1] - rows[0], columns[-1] - columns[0]) // 8
    return (
        max(int(rows[0]) - room, 0),
        min(int(rows[-1]) + 1 + room, opacity.shape[0]),
        max(int(columns[0]) - room, 0),
        min(int(columns[-1]) + 1 + room, opacity.shape[1]),
    )


def _shrunk(values: Floats, step: int) -> Floats:
    """Average over blocks of ``step`` pixels a side; a last incomplete block averages what there is."""
    if step == 1:
        return values
    rows, columns = (-(-n // step) * step for n in values.shape)
    padded = np.pad(values, ((0, rows - values.shape[0]), (0, columns - values.shape[1])), mode="edge")
    return np.asarray(padded.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3)), np.float32)


def _starts(seen: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return two upright poses for each shape: one from area and centre of gravity, one from the box."""
    known = outlines()
    area = float(seen.sum())
    ys, xs = np.mgrid[: seen.shape[0], : seen.shape[1]] + 0.5
    cx, cy = float((seen * xs).sum()) / area, float((seen * ys).sum()) / area
    rows, columns = np.flatnonzero((seen > 0.5).any(1)), np.flatnonzero((seen > 0.5).any(0))
    if not len(rows):
        rows, columns = np.flatnonzero((seen > 0).any(1)), np.flatnonzero((seen > 0).any(0))
    poses = []
    for k in range(len(SHAPES)):
        d = math.sqrt(area / float(known.area[k]))
        poses.append((cx - d * known.center[k, 0], cy - d * known.center[k, 1], d, 0.0))
    for k in range(len(SHAPES)):
        left, top, right, bottom = known.box[k]
        wide, high = columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
        d = (wide / (right - left) + high / (bottom - top)) / 2
        x = (columns[0] + columns[-1] + 1) / 2 - d * (left + right) / 2
        y = (rows[0] + rows[-1] + 1) / 2 - d * (top + bottom) / 2
        poses.append((x, y, d, 0.0))
    return np.tile(np.arange(len(SHAPES)), 2), np.array(poses, np.float32)


def _phi(
    shapes: npt.NDArray[np.intp], poses: Floats, x: Floats, y: Floats
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.intp]]:
    """Return signed distances in pixels (hypotheses, pixels), frame coordinates, and flat table indices."""
    cx, cy, d, turn = (poses[:, k : k + 1] for k in range(4))
    dx, dy = (x - cx) / d, (y - cy) / d
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    known = outlines()
    index = cells(u, v) + (shapes * known.distance[0].size)[:, None]
    return known.distance.ravel()[index] * d, u, v, index


def _agreement(phi: Floats, target: Floats, care: Floats, edge: float) -> Floats:
    covered = np.clip(0.5 - phi / (2 * edge), 0, 1)
    both = (np.minimum(covered, target) * care).sum(1)
    either = (np.maximum(covered, target) * care).sum(1)
    return np.asarray(both / np.maximum(either, 1e-6), np.float32)


def _improve(
    shapes: npt.NDArray[np.intp],
    poses: Floats,
    x: Floats,
    y: Floats,
    target: Floats,
    care: Floats,
    edge: float,
) -> tuple[Floats, Floats]:
    """Take one damped Gauss-Newton step for every hypothesis; also return the agreement before it."""
    phi, u, v, index = _phi(shapes, poses, x, y)
    known = outlines()
    sx, sy = known.slope_x.ravel()[index], known.slope_y.ravel()[index]
    d, turn = poses[:, 2:3], poses[:, 3:4]
    cos, sin = np.cos(turn), np.sin(turn)
    covered = np.clip(0.5 - phi / (2 * edge), 0, 1)
    rate = np.where(np.abs(phi) < edge, -0.5 / edge, 0.0).astype(np.float32)
    slopes = np.stack(
        [
            -(sx * cos - sy * sin) * rate,
            -(sx * sin + sy * cos) * rate,
            (phi / d - sx * u - sy * v) * rate,
            (sx * v - sy * u) * rate,  # per pixel of arc, so that all four have like scale
        ],
        axis=1,
    )
    residual = covered - target
    weighted = slopes * care
    normal = weighted @ slopes.transpose(0, 2, 1)
    gradient = (weighted @ residual[:, :, None])[..., 0]
    spread = math.radians(TILT_SPREAD)
    arc = poses[:, 3] * poses[:, 2]
    prior = 0.25 / (spread * poses[:, 2]) ** 2
    normal[:, 3, 3] += prior
    gradient[:, 3] += prior * arc
    damping = 0.005 * np.trace(normal, axis1=1, axis2=2) + 1e-4
    normal += np.eye(4, dtype=np.float32) * damping[:, None, None]
    step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
    bound = 0.15 * poses[:, 2:3]
    step = np.clip(step, -bound, bound)
    step[:, 3] /= poses[:, 2]
    moved = poses + step
    moved[:, 2] = np.maximum(moved[:, 2], 3.0)
    limit = math.radians(TILT_LIMIT)
    moved[:, 3] = np.clip(moved[:, 3], -limit, limit)
    return moved.astype(np.float32), _agreement(phi, target, care, edge)
