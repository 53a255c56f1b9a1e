"""Scene → pixels, and scene → the mask of each thing. Drawn with Skia's CPU rasteriser, antialiased.

Units: a thing is drawn in its own frame, where its bounding circle has diameter 1 and the centre is (0, 0),
y pointing down; :func:`_frame` maps that frame to pixels. The same scene and size give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import skia

from benchmarks.tabletop.world.scene import Scene, Thing
from benchmarks.tabletop.world.vocabulary import COLORS, SHADES

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def render(scene: Scene, size: int) -> Image:
    """Draw a scene.

    Args:
        scene: what to draw, bottom thing first.
        size: side of the square image in pixels.

    Returns:
        sRGB image, uint8, shape (size, size, 3).
    """
    surface = skia.Surface(size, size)
    canvas = surface.getCanvas()
    canvas.clear(skia.Color(*scene.background))
    for thing in scene.things:
        canvas.save()
        canvas.concat(_frame(thing, size))
        canvas.clipPath(outline(thing.shape), True)
        canvas.drawColor(skia.Color(*COLORS[thing.color]))
        shade = skia.Paint(Color=skia.Color(*SHADES[thing.color]), AntiAlias=True)
        for patch in _pattern(thing.texture):
            canvas.drawPath(patch, shade)
        canvas.restore()
    return np.ascontiguousarray(surface.toarray(colorType=skia.kRGBA_8888_ColorType)[:, :, :3])


def silhouette(thing: Thing, size: int) -> Mask:
    """Return the pixels that more than half belong to the thing, ignoring all others, shape (size, size)."""
    surface = skia.Surface(size, size)
    canvas = surface.getCanvas()
    canvas.clear(skia.ColorBLACK)
    canvas.concat(_frame(thing, size))
    canvas.drawPath(outline(thing.shape), skia.Paint(Color=skia.ColorWHITE, AntiAlias=True))
    return np.asarray(surface.toarray()[:, :, 0] > 127, dtype=np.bool_)


def visible_masks(scene: Scene, size: int) -> list[Mask]:
    """Return, in scene order, the pixels where each thing can be seen: its silhouette less what covers it."""
    covered = np.zeros((size, size), dtype=np.bool_)
    masks: list[Mask] = []
    for thing in reversed(scene.things):
        mask = silhouette(thing, size)
        masks.append(mask & ~covered)
        covered |= mask
    return masks[::-1]


def outline(shape: str) -> skia.Path:
    """Return the outline of a shape in its own frame.

    Raises:
        KeyError: there is no such shape in the vocabulary.
    """
    return _OUTLINES[shape]()


def _frame(thing: Thing, size: int) -> skia.Matrix:
    matrix = skia.Matrix.Translate(thing.x * size, thing.y * size)
    matrix.preRotate(thing.tilt)
    matrix.preScale(thing.diameter * size, thing.diameter * size)
    return matrix


def _polygon(points: Iterable[tuple[float, float]]) -> skia.Path:
    return skia.Path.Polygon([skia.Point(x, y) for x, y in points], True)


def _circle() -> skia.Path:
    return skia.Path.Circle(0.0, 0.0, 0.47)


def _square() -> skia.Path:
    return skia.Path.Rect(skia.Rect.MakeLTRB(-0.41, -0.41, 0.41, 0.41))


def _triangle() -> skia.Path:
    return _polygon([(0.0, -0.46), (0.5, 0.42), (-0.5, 0.42)])


def _diamond() -> skia.Path:
    return _polygon([(0.0, -0.5), (0.4, 0.0), (0.0, 0.5), (-0.4, 0.0)])


def _star() -> skia.Path:
    corners = []
    for k in range(10):
        radius = 0.52 if k % 2 == 0 else 0.22
        angle = math.pi * (k / 5 - 0.5)
        corners.append((radius * math.cos(angle), 0.03 + radius * math.sin(angle)))
    return _polygon(corners)


def _heart() -> skia.Path:
    path = skia.Path()
    path.moveTo(0.0, 0.46)
    path.cubicTo(-0.18, 0.26, -0.5, 0.08, -0.5, -0.18)
    path.cubicTo(-0.5, -0.5, -0.1, -0.52, 0.0, -0.2)
    path.cubicTo(0.1, -0.52, 0.5, -0.5, 0.5, -0.18)
    path.cubicTo(0.5, 0.08, 0.18, 0.26, 0.0, 0.46)
    path.close()
    return path


def _cross() -> skia.Path:
    arm, end = 0.16, 0.48
    return _polygon(
        [
            (-arm, -end), (arm, -end), (arm, -arm), (end, -arm), (end, arm), (arm, arm),
            (arm, end), (-arm, end), (-arm, arm), (-end, arm), (-end, -arm), (-arm, -arm),
        ]
    )  # fmt: skip


def _crescent() -> skia.Path:
    moon = skia.Path.Circle(0.02, 0.0, 0.48)
    return skia.Op(moon, skia.Path.Circle(0.26, 0.0, 0.36), skia.PathOp.kDifference_PathOp)


_OUTLINES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "crescent": _crescent,
}


def _pattern(texture: str) -> list[skia.Path]:
    """Return the patches of the second tone, about half of the surface, in the thing's own frame."""
    third = 1 / 3
    match texture:
        case "plain":
            return []
        case "striped":
            rows = [-0.5 + third * (k + 0.25) for k in range(3)]
            return [skia.Path.Rect(skia.Rect.MakeXYWH(-0.6, y, 1.2, third / 2)) for y in rows]
        case "dotted":
            centres = [(-third + third * k, -third + third * r) for k in range(3) for r in range(3)]
            return [skia.Path.Circle(x, y, 0.105) for x, y in centres]
        case "checkered":
            cell = 0.25
            corners = [(-0.5 + cell * k, -0.5 + cell * r) for k in range(4) for r in range(4) if (k + r) % 2]
            return [skia.Path.Rect(skia.Rect.MakeXYWH(x, y, cell, cell)) for x, y in corners]
    raise KeyError(texture)
