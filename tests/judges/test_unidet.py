"""UniDet with random weights: its backbone held to timm's, and what stands around the network of detectron2.

The published weights were never run here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.judges.detectors.detection import Detector
from benchmarks.judges.detectors.unidet.detector import UniDetDetector, read_labels
from benchmarks.judges.detectors.unidet.files import open_unidet, weights_name
from benchmarks.judges.detectors.unidet.network import LABELS, MOST
from benchmarks.judges.detectors.unidet.resnest import ResNeSt
from lumina_eval.errors import UserError

THERE = importlib.util.find_spec("detectron2") is not None
needs_detectron2 = pytest.mark.skipif(not THERE, reason="needs detectron2: nox -s detectron2")
NAMES = [f"thing {number}" for number in range(LABELS)]


def labels_file(path: Path, names: list[Any] = NAMES) -> Path:
    torch.save({"labels": names, "features": torch.zeros(2)}, path)
    return path


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((64, 48))


def test_the_backbone_is_resnest() -> None:
    """timm's is an implementation of its own; only the names of the parameters differ, not their order."""
    from timm.models.resnest import ResNestBottleneck
    from timm.models.resnet import ResNet

    blocks = (1, 2, 1, 2)
    other = ResNet(
        ResNestBottleneck, blocks, stem_type="deep", stem_width=16, avg_down=True, base_width=64,
        cardinality=1, block_args={"radix": 2, "avd": True, "avd_first": False},
    ).eval()  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    for name, value in other.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=draw))
        elif value.ndim == 1:
            value.copy_(torch.randn(value.shape, generator=draw) * 0.2 + name.endswith("weight"))
    ours = ResNeSt(blocks, 16).eval()
    theirs = [(k, v) for k, v in other.state_dict().items() if not k.startswith("fc.")]
    assert len(theirs) == len(ours.state_dict())
    by_part: dict[str, Any] = {}
    for name, value in ours.state_dict().items():
        by_part[name] = theirs[_place(name, [k for k, _ in theirs])][1]
        assert by_part[name].shape == value.shape, name
    ours.load_state_dict(by_part)
    pixels = torch.randn((2, 3, 75, 90), generator=draw)
    with torch.inference_mode():
        found = ours(pixels)
        seen = other.maxpool(other.act1(other.bn1(other.conv1(pixels))))
        for number, name in enumerate(("res2", "res3", "res4", "res5"), 1):
            seen = getattr(other, f"layer{number}")(seen)
            if name in found:
                torch.testing.assert_close(found[name], seen, atol=1e-4, rtol=1e-4)
    assert list(found) == ["res3", "res4", "res5"]


def _place(name: str, theirs: list[str]) -> int:
    """Return where timm has a parameter of ours."""
    head, *rest = name.split(".")
    if head == "stem":
        convolution = int(rest[0][-1]) - 1
        if rest[1] == "norm":
            wanted = ("conv1.1", "conv1.4", "bn1")[convolution] + f".{rest[2]}"
        else:
            wanted = f"conv1.{3 * convolution}.{rest[1]}"
    else:
        block = f"layer{int(head[3:]) - 1}.{rest[0]}"
        part, tail = rest[1], ".".join(rest[2:])
        if part == "shortcut":
            wanted = f"{block}.downsample." + (
                f"2.{tail.removeprefix('norm.')}" if "norm" in tail else f"1.{tail}"
            )
        elif "norm" in tail:
            wanted = f"{block}.bn{part[-1]}.{tail.removeprefix('norm.')}"
        else:
            wanted = f"{block}.{part}.{tail}"
    return theirs.index(wanted)


def test_names_that_are_not_those_of_the_labels(tmp_path: Path) -> None:
    assert read_labels(labels_file(tmp_path / "right.pt")) == tuple(NAMES)
    with pytest.raises(UserError, match=r"expected 722 names .*found 2, in .*few\.pt; fix: lumina-eval data"):
        read_labels(labels_file(tmp_path / "few.pt", ["cat", "dog"]))
    with pytest.raises(UserError, match=r"expected the names .*nothing\.pt"):
        read_labels(tmp_path / "nothing.pt")
    torch.save({"labels": Path("code")}, tmp_path / "code.pt")
    with pytest.raises(UserError, match=r"expected the names .*code\.pt"):
        read_labels(tmp_path / "code.pt")


@pytest.mark.skipif(THERE, reason="detectron2 is installed")
def test_without_detectron2_the_way_to_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected detectron2 for judge\.detector=unidet,.*fix: pip"):
        open_unidet("R50", str(tmp_path))


@needs_detectron2
def test_weights_that_are_not_there(tmp_path: Path) -> None:
    labels_file(tmp_path / "detection_features.pt")
    with pytest.raises(UserError, match=r"no file .*OCIM_RS200_6x\+2x\.pth; fix: put the published file"):
        open_unidet("RS200", str(tmp_path), "cpu")


@needs_detectron2
def test_boxes_come_above_a_threshold_of_its_own(tmp_path: Path, image: Image.Image) -> None:
    """0.1, not the 0.5 of the official command line; scores are sigmoids, so labels do not compete."""
    from benchmarks.judges.detectors.unidet.network import build

    state = build("R50", "cpu").state_dict()
    assert state["roi_heads.box_predictor.2.cls_score.weight"].shape == (LABELS + 1, 1024)
    for stage in range(3):
        state[f"roi_heads.box_predictor.{stage}.cls_score.weight"].zero_()
        bias = state[f"roi_heads.box_predictor.{stage}.cls_score.bias"]
        bias.fill_(-9.0)
        bias[3], bias[5], bias[7] = 2.0, -1.0, -2.5  # 0.88, 0.27, 0.08
    weights = tmp_path / weights_name("R50")
    torch.save({"model": state, "iteration": 1}, weights)
    labels_file(tmp_path / "detection_features.pt")
    detector = open_unidet("R50", str(tmp_path), "cpu")
    assert isinstance(detector, Detector)
    (found,) = detector.detect([image])
    assert {one.label for one in found} == {"thing 3", "thing 5"}
    assert {round(one.score, 3) for one in found} == {0.881, 0.269}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) <= MOST
    for left, top, right, bottom in (one.box for one in found):
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 48

    before = detector.digest
    del state["backbone.top_block.p6.bias"]
    torch.save({"model": state}, weights)
    part = open_unidet("R50", str(tmp_path), "cpu")
    assert part.digest != before
    with pytest.raises(UserError, match=r"none that fits backbone\.top_block\.p6\.bias"):
        part.detect([image])


@needs_detectron2
def test_channels_are_reversed_for_both_networks(tmp_path: Path) -> None:
    """The larger one was trained on RGB; the official scripts give it BGR all the same."""
    from benchmarks.judges.detectors.unidet.network import build

    large, small = build("RS200", "cpu"), build("R50", "cpu")
    assert large.pixel_mean.flatten().tolist() == pytest.approx([123.68, 116.779, 103.939])
    assert small.pixel_mean.flatten().tolist() == pytest.approx([103.53, 116.28, 123.675])
    labels = labels_file(tmp_path / "labels.pt")
    for kind, model in (("RS200", large), ("R50", small)):
        weights = tmp_path / f"{kind}.pth"
        torch.save({"model": model.state_dict()}, weights)
        detector = UniDetDetector(kind, weights, labels, "cpu")  # type: ignore[arg-type]
        given: list[torch.Tensor] = []
        detector._model.register_forward_pre_hook(lambda _, inputs, given=given: given.append(inputs[0]))
        detector.detect([Image.new("RGB", (40, 40), (10, 20, 30))])
        assert given[0][0]["image"][:, 0, 0].tolist() == [30, 20, 10]
