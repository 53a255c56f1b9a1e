"""What may happen to a picture between scene and judge: softness, noise, other colours, an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.world.renderer import render, visible_masks
from benchmarks.tabletop.world.scene import Scene

Picture = npt.NDArray[np.uint8]
#: Draws a scene at a size in pixels, with a generator for what is random about it.
Draw = Callable[[Scene, int, np.random.Generator], Picture]

#: Strengths of the falling curves; the first is none.
BLURS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
NOISES: Final = (0.0, 10.0, 20.0, 40.0, 60.0, 90.0)
SHIFTS: Final = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0)


def clean(scene: Scene, size: int, rng: np.random.Generator) -> Picture:
    """Draw the scene as it is."""
    return render(scene, size)


def through(change: Callable[[Picture], Picture]) -> Draw:
    """Draw the scene and pass the picture through ``change``, such as an autoencoder."""
    return lambda scene, size, rng: change(render(scene, size))


def blurred(sigma: float) -> Draw:
    """Draw it with a Gaussian blur of ``sigma`` 64ths of the picture's side."""

    def draw(scene: Scene, size: int, rng: np.random.Generator) -> Picture:
        picture = render(scene, size)
        return (
            picture
            if sigma == 0
            else np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma * size / 64), np.uint8)
        )

    return draw


def noisy(sigma: float) -> Draw:
    """Draw it with independent Gaussian noise of ``sigma`` levels (of 255) on every value."""

    def draw(scene: Scene, size: int, rng: np.random.Generator) -> Picture:
        picture = render(scene, size)
        return _picture(picture + rng.normal(0, sigma, picture.shape))

    return draw


def off_palette(distance: float) -> Draw:
    """Draw every thing in colours moved by ``distance`` in CIELAB, each thing in a direction of its own."""

    def draw(scene: Scene, size: int, rng: np.random.Generator) -> Picture:
        lab = cv2.cvtColor(render(scene, size).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        for mask in visible_masks(scene, size):
            direction = rng.normal(size=3)
            lab[mask] += (distance * direction / np.linalg.norm(direction)).astype(np.float32)
        return _picture(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255.0)

    return draw


def _picture(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
