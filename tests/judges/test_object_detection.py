"""A detector of transformers on tiny random weights: its boxes are those that transformers itself tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_t2i_models import detr_folder

from benchmarks.judges.detectors.detection import Detector
from benchmarks.judges.detectors.object_detection import ObjectDetector
from lumina_eval.errors import UserError

LABELS = ["dog", "car", "person"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detr_folder(tmp_path_factory.mktemp("models") / "detr", LABELS)


@pytest.fixture
def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    sizes = [(96, 64), (64, 64), (96, 64), (64, 96)]
    return [
        Image.fromarray(noise.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.NEAREST
        )
        for size in sizes
    ]


def test_boxes_are_those_of_the_network(folder: Path, images: list[Image.Image]) -> None:
    """Centre and size in parts of the image, and the softmax without "no object": the paper's own reading."""
    from transformers import DetrForObjectDetection, DetrImageProcessor

    model = DetrForObjectDetection.from_pretrained(folder).eval()
    processor = DetrImageProcessor.from_pretrained(folder)
    seen = ObjectDetector(folder, "cpu").detect(images)
    for image, found in zip(images, seen, strict=True):
        with torch.no_grad():
            raw = model(**processor(images=image, return_tensors="pt"))
        chances = raw.logits[0].softmax(-1)[:, :-1].numpy()
        x, y, w, h = raw.pred_boxes[0].numpy().T
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
        boxes = boxes.clip(0, 1) * np.array([image.width, image.height] * 2)
        order = np.argsort(-chances.max(axis=1), kind="stable")
        assert [one.label for one in found] == [LABELS[chances[n].argmax()] for n in order]
        np.testing.assert_allclose([one.score for one in found], chances.max(axis=1)[order], atol=1e-5)
        np.testing.assert_allclose([one.box for one in found], boxes[order], atol=1e-3)


def test_neighbours_do_not_matter(folder: Path, images: list[Image.Image]) -> None:
    detector = ObjectDetector(folder, "cpu")
    assert isinstance(detector, Detector)
    for image, found in zip(images, detector.detect(images), strict=True):
        (alone,) = detector.detect([image])
        assert [one.label for one in found] == [one.label for one in alone]
        np.testing.assert_allclose([one.box for one in found], [one.box for one in alone], atol=1e-3)
    assert detector.detect([]) == []


def test_weights_that_are_not_there_or_not_whole(
    folder: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    with pytest.raises(UserError, match="an object detector"):
        ObjectDetector(tmp_path / "nowhere", "cpu")
    half = detr_folder(tmp_path / "half", LABELS)
    (half / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="expected the image processor of the detector"):
        ObjectDetector(half, "cpu").detect(images)
    assert ObjectDetector(half, "cpu").digest != ObjectDetector(folder, "cpu").digest
