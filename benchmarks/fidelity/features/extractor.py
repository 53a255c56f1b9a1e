"""What turns images, or texts, into the rows of numbers that every measure of this room begins with.

Who offers one: :func:`benchmarks.fidelity.features.inception.open_inception`, for each chain of
:mod:`benchmarks.fidelity.features.resizing`, and ``ClipEmbedder`` and ``Dinov2Embedder`` of
:mod:`benchmarks.fidelity.features.embedders`. :mod:`benchmarks.fidelity.features.extraction` runs one over
files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@runtime_checkable
class Extractor(Protocol):
    """Turns each image into one row, which does not depend on the images beside it (up to rounding)."""

    @property
    def name(self) -> str:
        """Chain or model, for people."""

    @property
    def digest(self) -> str:
        """Sha256 of weights and procedure: rows of two digests are never compared."""

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return one row for each RGB image, of any size, (N, width)."""


@runtime_checkable
class TextExtractor(Extractor, Protocol):
    """An extractor that puts texts into the same space."""

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text, (N, width); what is too long is cut."""

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the places of the texts that are cut."""
