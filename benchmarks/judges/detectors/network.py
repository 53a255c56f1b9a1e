"""What detectors of transformers have in common: weights in a folder, and images of one size in a batch."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from PIL import Image

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.digests import digest_of


class NetworkDetector(abc.ABC):
    """A detector whose batches hold images of one size, so that none is padded for the sake of another."""

    name: ClassVar[str]
    what: ClassVar[str]
    """Whose weights they are, in messages."""
    version: ClassVar[int]
    """Raised whenever the same weights and settings give other detections."""

    def __init__(self, weights: str | Path, device: str = "auto", batch_size: int = 4) -> None:
        """Find the weights, a folder or ``OWNER/NAME@REVISION``; they are loaded when the first image comes.

        Raises UserError if they are not there.
        """
        self._folder = find_weights(str(weights), self.what)
        self._device = device_of(device)
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights and configuration, and of the version of the procedure."""
        weights = weights_digest(self._folder)
        return digest_of({"detector": self.name, "version": self.version, "weights": weights})

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has, in the order of the images."""
        found: list[list[Detection]] = [[] for _ in images]
        by_size: dict[Hashable, list[int]] = {}
        for place, image in enumerate(images):
            by_size.setdefault(self._size_seen(image), []).append(place)
        for places in by_size.values():
            for start in range(0, len(places), self._batch_size):
                batch = places[start : start + self._batch_size]
                seen = self._detect_batch([images[place] for place in batch])
                for place, detections in zip(batch, seen, strict=True):
                    found[place] = detections
        return found

    def _size_seen(self, image: Image.Image) -> Hashable:
        """Return what images of one batch have in common; the size of the image itself, if nothing else."""
        return image.size

    @abc.abstractmethod
    def _detect_batch(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has; :meth:`_size_seen` is the same for all."""
