"""detectron2: the message where it is absent, and a model with random weights where it is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.judges.detectors.coco import COCO
from benchmarks.judges.detectors.detection import Detector
from lumina_eval.errors import UserError

THERE = importlib.util.find_spec("detectron2") is not None


@pytest.mark.skipif(THERE, reason="detectron2 is installed")
def test_its_absence_comes_with_the_command() -> None:
    from benchmarks.judges.detectors.detectron import Detectron2Detector

    with pytest.raises(UserError, match=r"fix: pip install --no-build-isolation .*@02b5c4e2.*nox -s"):
        Detectron2Detector("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml")


@pytest.mark.skipif(not THERE, reason="needs detectron2: nox -s detectron2")
def test_random_weights_give_detections_of_coco(tmp_path: Path) -> None:
    from detectron2 import model_zoo

    from benchmarks.judges.detectors.detectron import Detectron2Detector

    config = tmp_path / "tiny.yaml"
    base = model_zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml")
    config.write_text(
        f"_BASE_: {base}\nMODEL:\n  WEIGHTS: ''\nINPUT:\n  MIN_SIZE_TEST: 64\n  MAX_SIZE_TEST: 96\n"
    )
    detector = Detectron2Detector(str(config), "cpu")
    assert isinstance(detector, Detector)
    assert detector.labels == COCO
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    (found,) = detector.detect([Image.fromarray(pixels)])
    assert found
    for one in found:
        assert one.label in COCO
        assert 0 <= one.score <= 1
        assert 0 <= one.box[0] <= one.box[2] <= 60
        assert 0 <= one.box[1] <= one.box[3] <= 40
        assert one.mask is not None
        assert one.mask.shape == (40, 60)
    assert len(detector.digest) == 64


@pytest.mark.skipif(not THERE, reason="needs detectron2: nox -s detectron2")
def test_a_config_that_is_none() -> None:
    from benchmarks.judges.detectors.detectron import Detectron2Detector

    with pytest.raises(UserError, match=r"expected a config of detectron2.*COCO/none\.yaml"):
        _ = Detectron2Detector("COCO/none.yaml", "cpu").digest
