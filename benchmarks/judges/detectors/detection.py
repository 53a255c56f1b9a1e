"""What an object detector says, whichever package it comes from: labelled boxes, scores, perhaps masks.

A detector applies no rule of a benchmark: no threshold, no limit per class, no suppression that is not part
of the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

#: Left, top, right and bottom in pixels of the image, each a float32 value.
Box = tuple[float, float, float, float]
#: Boolean picture [H, W] of the object's pixels, of the size of the image.
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Detection:
    """One object: its box, its score (0 to 1, a float32 value), its class, and its mask if there is one."""

    box: Box
    score: float
    label: str
    mask: Mask | None = None


@runtime_checkable
class Detector(Protocol):
    """Finds objects in images."""

    @property
    def name(self) -> str:
        """Short name, for people."""

    @property
    def digest(self) -> str:
        """Sha256 of all that changes the output, apart from the settings."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings as JSON values, every default resolved."""

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return the objects of each image in the detector's own order, before any threshold.

        What is found in an image does not depend on the other images.
        """
