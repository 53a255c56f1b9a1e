"""Boxes by a detector of transformers: any model that ``AutoModelForObjectDetection`` loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.network import NetworkDetector
from benchmarks.judges.loading import load_model
from benchmarks.judges.precision import full_float32
from lumina_eval.errors import UserError, first_line


class ObjectDetector(NetworkDetector):
    """Boxes without masks, in float32, with the model's own image processor before and after it.

    Surest first (equal scores in the model's order), without a threshold, cut to the image.
    """

    name = "object-detection"
    what = "an object detector"
    version = 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is computed in."""
        return {"dtype": "float32", "device": self._device.partition(":")[0]}

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

        model = load_model(AutoModelForObjectDetection, self._folder, self.what)
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
