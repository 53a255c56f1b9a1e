"""Mask2Former on tiny random weights: what goes in and what comes out, held to plain loops."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_mask2former import TINY, mask2former_folder

from benchmarks.judges.detectors.coco import COCO
from benchmarks.judges.detectors.detection import Detection, Detector
from benchmarks.judges.detectors.mask2former import MOST, Mask2FormerDetector, instances
from benchmarks.judges.detectors.mmdet import pixels
from benchmarks.judges.detectors.mmdet.pixels import Prepared, prepare, resized_size
from lumina_eval.errors import UserError

Array = np.ndarray


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mask2former_folder(tmp_path_factory.mktemp("mask2former") / "tiny")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LONG", 160)
    monkeypatch.setattr(pixels, "SHORT", 96)


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    noise = np.random.default_rng(3)
    coarse = [noise.integers(0, 256, (5, 5, 3), dtype=np.uint8) for _ in sizes]
    return [Image.fromarray(one).resize(size) for one, size in zip(coarse, sizes, strict=True)]


def bilinear(picture: Array, height: int, width: int) -> Array:
    """Resize [h, w] with pixel centres at halves and the edge repeated."""
    out = np.zeros((height, width))
    rows, columns = picture.shape
    for y in range(height):
        for x in range(width):
            v = max((y + 0.5) * rows / height - 0.5, 0.0)
            u = max((x + 0.5) * columns / width - 0.5, 0.0)
            top, left = int(v), int(u)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            a, b = v - top, u - left
            out[y, x] = (
                (1 - a) * ((1 - b) * picture[top, left] + b * picture[top, right])
                + a * ((1 - b) * picture[below, left] + b * picture[below, right])
            )  # fmt: skip
    return out


def plain_instances(class_logits: Array, mask_logits: Array, image: Prepared) -> list[Detection]:
    """mmdet's instance post-processing, one number after another."""
    candidates = []
    for query, row in enumerate(class_logits.astype(float)):
        chances = [math.exp(value) for value in row]
        for index in range(len(row) - 1):
            candidates.append((chances[index] / sum(chances), query, index))
    kept = sorted(sorted(candidates, key=lambda one: -one[0])[:MOST], key=lambda one: one[1:])
    pictures = {}
    for query in {one[1] for one in kept}:
        whole = bilinear(mask_logits[query].astype(float), *image.padded)
        pictures[query] = bilinear(whole[: image.resized[0], : image.resized[1]], *image.original)
    found = []
    for chance, query, index in kept:
        logits = pictures[query]
        inside = [(y, x) for y in range(logits.shape[0]) for x in range(logits.shape[1]) if logits[y, x] > 0]
        total = sum(1 / (1 + math.exp(-logits[place])) for place in inside)
        box = (0.0, 0.0, 0.0, 0.0)
        if inside:
            ys, xs = [y for y, _ in inside], [x for _, x in inside]
            box = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
        found.append(Detection(box, chance * total / (len(inside) + 1e-6), COCO[index], logits > 0))
    return found


def assert_alike(found: list[Detection], expected: list[Detection], most: float = 1e-5) -> None:
    assert [one.label for one in found] == [one.label for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=most)
        assert one.mask is not None
        assert other.mask is not None
        if (one.mask == other.mask).all():
            assert one.box == other.box
        assert (one.mask != other.mask).mean() < 1e-3  # a logit within rounding of 0


@pytest.mark.parametrize("original", [(20, 31), (48, 60)])
def test_the_way_out_is_mmdet_s(original: tuple[int, int]) -> None:
    noise = np.random.default_rng(1)
    image = Prepared(np.zeros((3, 32, 64), dtype=np.float32), (30, 47), original)
    classes = (3 * noise.normal(size=(6, 81))).astype(np.float32)
    masks = (noise.normal(size=(6, 8, 16)) - 0.5).astype(np.float32)
    masks[2] = -1.0  # nothing there
    found = instances(torch.from_numpy(classes), torch.from_numpy(masks), image, COCO)
    assert len(found) == MOST
    assert_alike(found, plain_instances(classes, masks, image))
    empty = [one for one in found if one.mask is not None and not one.mask.any()]
    assert empty
    assert all((one.box, one.score) == ((0, 0, 0, 0), 0) for one in empty)


def test_a_query_may_be_several_things() -> None:
    image = Prepared(np.zeros((3, 32, 32), dtype=np.float32), (32, 32), (32, 32))
    found = instances(torch.zeros(1, 5), torch.ones(1, 8, 8), image, COCO)
    assert [one.label for one in found] == list(COCO[:4])
    assert [one.score for one in found] == pytest.approx([0.2 / (1 + math.exp(-1))] * 4)
    assert {one.box for one in found} == {(0, 0, 32, 32)}


@pytest.mark.parametrize(
    ("size", "resized"),
    [((512, 512), (800, 800)), ((1024, 1024), (800, 800)), ((600, 1000), (800, 1333)),
     ((100, 333), (400, 1333)), ((333, 50), (1333, 200)), ((427, 640), (800, 1199))],
)  # fmt: skip
def test_sizes_are_those_of_mmcv(size: tuple[int, int], resized: tuple[int, int]) -> None:
    assert resized_size(*size) == resized


def test_padding_is_grey_before_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LONG", 50)
    monkeypatch.setattr(pixels, "SHORT", 40)
    image = pictures((50, 40))[0]
    found = prepare(image)
    assert (found.padded, found.resized, found.original) == ((64, 64), (40, 50), (40, 50))
    whole = np.full((64, 64, 3), 128.0)
    whole[:40, :50] = np.asarray(image)
    expected = (whole - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)
    assert np.abs(found.pixels - expected.transpose(2, 0, 1)).max() < 1e-6


@pytest.mark.usefixtures("small")
def test_what_is_found_is_what_the_network_says(folder: Path) -> None:
    from transformers import Mask2FormerForUniversalSegmentation

    detector = Mask2FormerDetector(folder, "cpu")
    assert isinstance(detector, Detector)
    image = pictures((30, 24))[0]
    network = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    prepared = prepare(image)
    with torch.no_grad():
        said = network(pixel_values=torch.from_numpy(prepared.pixels)[None])
    expected = plain_instances(
        said.class_queries_logits[0].numpy(), said.masks_queries_logits[0].numpy(), prepared
    )
    found = detector.detect([image])[0]
    assert_alike(found, expected, most=1e-4)
    assert len({one.label for one in found}) > 5
    assert len({one.mask.tobytes() for one in found if one.mask is not None}) > 3


@pytest.mark.usefixtures("small")
def test_neighbours_in_a_batch_change_nothing(folder: Path) -> None:
    images = pictures((64, 64), (80, 40), (64, 64), (40, 80), (80, 40))
    alone = Mask2FormerDetector(folder, "cpu", batch_size=1).detect(images)
    for batch_size in (2, 5):
        together = Mask2FormerDetector(folder, "cpu", batch_size).detect(images[::-1])[::-1]
        for one, other in zip(together, alone, strict=True):
            assert_alike(one, other, most=1e-4)


def test_the_digest_knows_the_weights(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert Mask2FormerDetector(other, "cpu").digest == Mask2FormerDetector(folder, "cpu").digest
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(bytes(data))
    assert Mask2FormerDetector(other, "cpu").digest != Mask2FormerDetector(folder, "cpu").digest


@pytest.mark.usefixtures("small")
def test_a_parameter_that_is_not_there_is_no_random_number(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    state = load_file(folder / "model.safetensors")
    del state["model.transformer_module.decoder.layernorm.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"all parameters of Mask2Former .* fits .*decoder\.layernorm"):
        Mask2FormerDetector(tmp_path, "cpu").detect(pictures((32, 32)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("", "no folder ''"),
        ("nowhere/at/all", "no folder"),
        ("owner/name", "a pinned revision of owner/name"),
    ],
)
def test_weights_that_are_nowhere(weights: str, message: str) -> None:
    with pytest.raises(UserError, match=f"{message}.*fix: --set judge.weights="):
        Mask2FormerDetector(weights, "cpu")


def test_labels_are_those_of_coco(folder: Path) -> None:
    assert Mask2FormerDetector(folder, "cpu").labels == COCO == TINY.classes
