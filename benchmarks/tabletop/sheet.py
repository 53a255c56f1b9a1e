"""Sheets of pictures to look at: the vocabulary, or scenes as training sets have them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.sight.perception import see
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene
from benchmarks.tabletop.world.vocabulary import COLORS, SHAPES, TEXTURES

Picture = npt.NDArray[np.uint8]


def vocabulary_sheet(size: int) -> Picture:
    """Draw every shape in every colour, a row per colour; textures change along the rows."""
    rows = []
    for r, color in enumerate(COLORS):
        things = [
            Thing(shape, color, TEXTURES[(c + r) % len(TEXTURES)], "large", 0.5, 0.5)
            for c, shape in enumerate(SHAPES)
        ]
        rows.append(
            np.concatenate([render(Scene((thing,), (156, 156, 156)), size) for thing in things], axis=1)
        )
    return np.concatenate(rows, axis=0)


def scene_sheet(size: int, count: int, seed: int, *, judged: bool = False) -> Picture:
    """Draw scenes on a grid, enlarged three times with the judge's boxes if ``judged``."""
    columns = max(1, round(count**0.5 * 1.4))
    pictures = []
    for k in range(count):
        picture = render(sample_scene(np.random.default_rng([seed, k])), size)
        pictures.append(_with_boxes(picture) if judged else picture)
    blank = np.full_like(pictures[0], 255)
    pictures += [blank] * (-count % columns)
    rows = [np.concatenate(pictures[k : k + columns], axis=1) for k in range(0, len(pictures), columns)]
    return np.concatenate(rows, axis=0)


def _with_boxes(picture: Picture) -> Picture:
    large = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    for thing in see(picture):
        left, top, right, bottom = (round(3 * value) for value in thing.box)
        cv2.rectangle(large, (left, top), (right, bottom), (20, 90, 200), 1)
        label = f"{thing.color} {thing.shape} {thing.texture} {thing.score:.2f}"
        cv2.putText(
            large, label, (left, max(8, top - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (0, 0, 0), 1, cv2.LINE_AA
        )
    return np.asarray(large, np.uint8)
