"""Boxes by a detector of transformers: any model that ``AutoModelForObjectDetection`` loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.loading import load_model
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, first_line

#: Raised when the same image gets other boxes.
VERSION: Final = 1


class ObjectDetector:
    """Boxes without masks, in float32, with the model's own image processor before and after it."""

    name = "object-detection"

    def __init__(self, weights: str | Path, device: str = "auto", batch_size: int = 8) -> None:
        """Find the weights, a folder or ``OWNER/NAME@REVISION``; they are loaded when the first image comes.

        Raises UserError if they are not there.
        """
        self._folder = find_weights(str(weights), "an object detector")
        self._device = device_of(device)
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights and configuration, and of the version of this file's procedure."""
        return digest_of({"detector": self.name, "version": VERSION, "weights": weights_digest(self._folder)})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is computed in."""
        return {"dtype": "float32", "device": self._device.partition(":")[0]}

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has, surest first (equal scores in the model's order), without a threshold.

        Boxes are cut to the image. Images of different sizes share no batch, so that none is padded.
        """
        found: list[list[Detection]] = [[] for _ in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(images):
            by_size.setdefault(image.size, []).append(place)
        for places in by_size.values():
            for start in range(0, len(places), self._batch_size):
                batch = places[start : start + self._batch_size]
                seen = self._detect_batch([images[place] for place in batch])
                for place, detections in zip(batch, seen, strict=True):
                    found[place] = detections
        return found

    def _detect_batch(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        model, processor = self._loaded
        width, height = images[0].size
        with full_float32():
            inputs = processor(images=[image.convert("RGB") for image in images], return_tensors="pt")
            seen = model(**inputs.to(self._device))
            rows = processor.post_process_object_detection(
                seen, threshold=0.0, target_sizes=[(height, width)] * len(images)
            )
        found = []
        for row in rows:
            detections = [
                Detection(_cut(box, width, height), score, str(model.config.id2label[label]))
                for box, score, label in zip(
                    *(row[key].tolist() for key in ("boxes", "scores", "labels")), strict=True
                )
            ]
            found.append(sorted(detections, key=lambda one: -one.score))
        return found

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        model = load_model(AutoModelForObjectDetection, self._folder, "an object detector")
        try:
            processor = AutoImageProcessor.from_pretrained(self._folder)
        except (OSError, ValueError) as error:
            raise UserError(
                f"expected the image processor of the detector in {self._folder}, found none that loads: "
                f"{first_line(error)}; fix: fetch the folder anew"
            ) from error
        return model.to(self._device), processor


def _cut(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return (
        min(max(left, 0.0), float(width)),
        min(max(top, 0.0), float(height)),
        min(max(right, 0.0), float(width)),
        min(max(bottom, 0.0), float(height)),
    )
