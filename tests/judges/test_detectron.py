"""detectron2: the message where it is absent, and a model with random weights where it is there."""

from __future__ import annotations

import importlib.util
import sys
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


needs_detectron2 = pytest.mark.skipif(not THERE, reason="needs detectron2: nox -s detectron2")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small picture for Mask R-CNN, and no weights."""
    from detectron2 import model_zoo

    file = tmp_path / "tiny.yaml"
    base = model_zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml")
    file.write_text(
        f"_BASE_: {base}\nMODEL:\n  WEIGHTS: ''\nINPUT:\n  MIN_SIZE_TEST: 64\n  MAX_SIZE_TEST: 96\n"
    )
    return file


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@needs_detectron2
def test_random_weights_give_detections_of_coco(config: Path, image: Image.Image) -> None:
    from benchmarks.judges.detectors.detectron import Detectron2Detector

    detector = Detectron2Detector(f"{config}:random", "cpu")
    assert isinstance(detector, Detector)
    assert detector.labels == COCO
    (found,) = detector.detect([image])
    assert found
    for one in found:
        assert one.label in COCO
        assert 0 <= one.score <= 1
        assert 0 <= one.box[0] <= one.box[2] <= 60
        assert 0 <= one.box[1] <= one.box[3] <= 40
        assert one.mask is not None
        assert one.mask.shape == (40, 60)
    assert len(detector.digest) == 64
    assert detector.settings["weights"] == "random"


@needs_detectron2
def test_weights_of_a_file_are_seen_as_detectron2_sees_them(config: Path, image: Image.Image) -> None:
    """The oracle is detectron2's own predictor; the digest is that of the content, wherever it lies."""
    import torch
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor
    from detectron2.modeling import build_model

    from benchmarks.judges.detectors.detectron import Detectron2Detector

    cfg = get_cfg()
    cfg.merge_from_file(str(config))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    state = build_model(cfg).state_dict()
    file, moved = config.with_name("model.pth"), config.with_name("moved.pth")
    for one in (file, moved):
        torch.save({"model": state}, one)
    moved.write_bytes(file.read_bytes())
    detector = Detectron2Detector(f"{config}:{file}", "cpu")
    (found,) = detector.detect([image])
    cfg.MODEL.WEIGHTS = str(file)
    seen = DefaultPredictor(cfg)(np.asarray(image)[:, :, ::-1])["instances"]
    assert [one.label for one in found] == [COCO[index] for index in seen.pred_classes.tolist()]
    np.testing.assert_allclose([one.score for one in found], seen.scores.tolist(), atol=1e-6)
    np.testing.assert_allclose([one.box for one in found], seen.pred_boxes.tensor.tolist(), atol=1e-3)
    assert "weights" not in detector.settings

    named = config.with_name("named.yaml")
    named.write_text(config.read_text().replace("WEIGHTS: ''", f"WEIGHTS: {moved}"))
    assert Detectron2Detector(str(named), "cpu").digest == detector.digest
    torch.save({"model": {**state, "backbone.fpn_lateral2.bias": torch.ones(256)}}, moved)
    assert Detectron2Detector(str(named), "cpu").digest != detector.digest


@needs_detectron2
def test_weights_that_are_missing_in_whole_or_in_part(config: Path, image: Image.Image) -> None:
    import torch

    from benchmarks.judges.detectors.detectron import Detectron2Detector

    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS empty, in .*tiny\.yaml; fix: --set judge\.weights="):
        _ = Detectron2Detector(str(config), "cpu").digest
    with pytest.raises(UserError, match=r"found no file nowhere\.pth"):
        _ = Detectron2Detector(f"{config}:nowhere.pth", "cpu").digest
    file = config.with_name("part.pth")
    torch.save({"model": {"backbone.fpn_lateral2.bias": torch.ones(256)}}, file)
    with pytest.raises(UserError, match=r"all parameters of the model, found none that fits .* more"):
        Detectron2Detector(f"{config}:{file}", "cpu").detect([image])
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"expected weights for detectron2 in .*part\.pth"):
        Detectron2Detector(f"{config}:{file}", "cpu").detect([image])


@needs_detectron2
def test_a_setuptools_without_pkg_resources_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import detectron2

    from benchmarks.judges.detectors.detectron import Detectron2Detector

    for name in ("detectron2.model_zoo", "detectron2.model_zoo.model_zoo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(detectron2, "model_zoo", raising=False)
    monkeypatch.setitem(sys.modules, "pkg_resources", None)
    with pytest.raises(UserError, match=r"expected pkg_resources, .*fix: pip install 'setuptools<81'"):
        Detectron2Detector("COCO/none.yaml", "cpu")


@needs_detectron2
def test_a_config_that_is_none() -> None:
    from benchmarks.judges.detectors.detectron import Detectron2Detector

    with pytest.raises(UserError, match=r"expected a config of detectron2.*COCO/none\.yaml"):
        _ = Detectron2Detector("COCO/none.yaml", "cpu").digest
