"""GenEval judged from images, on tiny models with random weights: from the command line to the verdicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_mask2former import mask2former_folder
from tiny_t2i_models import clip_folder, detr_folder

from benchmarks.geneval.judging import GENEVAL_NAMES, MOST_COLORED, DetectionJudge
from benchmarks.geneval.opening import open_judge
from benchmarks.geneval.vocabulary import COCO_CLASSES, COLORS
from benchmarks.judges.colors import ColorClassifier
from benchmarks.judges.detectors import speed
from benchmarks.judges.detectors.coco import COCO, check_labels, coco_name
from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.mask2former import Mask2FormerDetector
from benchmarks.judges.detectors.mmdet import pixels
from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.records import Item
from lumina_eval.testing import check_judge

PROMPTS = [
    {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}],
     "prompt": "a photo of a red dog"},
    {"tag": "counting", "include": [{"class": "computer mouse", "count": 2}],
     "exclude": [{"class": "computer mouse", "count": 3}], "prompt": "a photo of two computer mouses"},
    {"tag": "color_attr", "include": [{"class": "tv remote", "count": 1, "color": "blue"},
                                      {"class": "cup", "count": 1, "color": "white"}],
     "prompt": "a photo of a blue tv remote and a white cup"},
]  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    mask2former_folder(folder / "mask2former")
    clip_folder(folder / "clip")
    detr_folder(folder / "detr", COCO)
    return folder


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pixels, "LONG", 96)
    monkeypatch.setattr(pixels, "SHORT", 64)
    noise = np.random.default_rng(4)
    for number, metadata in enumerate(PROMPTS):
        folder = tmp_path / "images" / f"{number:05d}"
        (folder / "samples").mkdir(parents=True)
        (folder / "metadata.jsonl").write_text(json.dumps(metadata))
        for index in range(2):
            coarse = noise.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((32, 32)).save(folder / "samples" / f"{index:04d}.png")
    return tmp_path / "images"


@pytest.fixture
def judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    def call(*words: object) -> tuple[int, dict[str, Any], str]:
        argv = ["lumina-eval", "judge", "geneval", *map(str, words), "--out", str(tmp_path / "out"), "--json"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), json.loads(told.out) if told.out else {}, told.err

    return call


def test_images_become_verdicts_and_a_score(
    models: Path, images: Path, judge: Callable[..., tuple[int, dict[str, Any], str]]
) -> None:
    weights = models / "mask2former" / "converted"
    code, record, _ = judge(
        *("--protocol", "hf", "--images", images, "--set", f"judge.weights={weights}"),
        *("--set", f"judge.colors={models / 'clip'}", "--set", "judge.colored_above=0.0"),
    )
    assert code == 0
    assert (record["protocol"], record["coverage"]["judged"], record["coverage"]["failed"]) == ("hf", 6, 0)
    run = Path(record["run_dir"])
    assert json.loads((run / "manifest.json").read_text())["judge"].startswith("mask2former-clip@")
    assert len((run / "results.jsonl").read_text().splitlines()) == 6
    detector = Mask2FormerDetector(weights, "cpu")
    for line in (run / "verdicts.jsonl").read_text().splitlines():
        verdict = json.loads(line)
        number = next(n for n in range(3) if verdict["item_id"] in line and known(run, verdict) == PROMPTS[n])
        file = images / f"{number:05d}" / "samples" / f"{verdict['index']:04d}.png"
        (expected,) = detector.detect([Image.open(file).convert("RGB")])
        found = verdict["output"]["detections"]
        assert sum(map(len, found.values())) == len(expected)
        assert set(found) <= set(COCO_CLASSES)
        for name, rows in found.items():
            own = [one for one in expected if GENEVAL_NAMES.get(one.label, one.label) == name]
            for row, one in zip(rows, own, strict=True):
                assert row[:4] == list(one.box)
                assert np.float32(row[4]) == pytest.approx(one.score, abs=1e-4)
        asked = {clause["class"] for clause in PROMPTS[number]["include"] if "color" in clause}
        colors = verdict["output"]["colors"]
        assert set(colors) == asked
        for name in asked:
            assert len(colors[name]) == len(found.get(name, []))
            assert all(color in COLORS for color in colors[name])


def known(run: Path, verdict: dict[str, Any]) -> Any:
    lines = (run / "items.jsonl").read_text().splitlines()
    return next(item["metadata"] for item in map(json.loads, lines) if item["id"] == verdict["item_id"])


def test_another_detector_of_transformers(
    models: Path, images: Path, judge: Callable[..., tuple[int, dict[str, Any], str]]
) -> None:
    code, record, _ = judge(
        *("--protocol", "official", "--images", images, "--set", "judge.detector=transformers"),
        *("--set", f"judge.weights={models / 'detr'}", "--set", f"judge.colors={models / 'clip'}"),
    )
    assert code == 0
    assert record["coverage"]["judged"] == 6
    assert 'judge.detector="transformers"' in record["changed"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "lumina-eval data fetch mask2former, then lumina-eval assets convert mask2former"),
        (["judge.detector=transformers"], "fix: --set judge.weights=DIR"),
        (
            ["judge.detector=yolo", "judge.weights=x"],
            "unknown judge.detector 'yolo'; known: detectron2, mask2former, transformers",
        ),
        (["judge.batch_size=0"], "expected a whole number of at least 1 for judge.batch_size, found 0"),
    ],
)
def test_what_is_missing_comes_with_the_command(
    images: Path,
    judge: Callable[..., tuple[int, dict[str, Any], str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    words = [word for change in changes for word in ("--set", change)]
    code, record, told = judge("--protocol", "official", "--images", images, *words)
    assert (code, record) == (2, {})
    assert message in told


def test_another_conversion_is_not_the_official_detector(
    models: Path, images: Path, judge: Callable[..., tuple[int, dict[str, Any], str]],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path))
    (tmp_path / "mask2former-transformers").symlink_to(models / "mask2former" / "converted")
    code, _, told = judge("--protocol", "official", "--images", images)
    assert code == 2
    assert "found another than GenEval's" in told


class Fixed:
    """A detector that sees the same everywhere."""

    name, digest, settings = "fixed", "0" * 64, {}

    def __init__(self, found: list[Detection]) -> None:
        self.found = found

    def detect(self, images: Any) -> list[list[Detection]]:
        return [self.found for _ in images]


class Counted(ColorClassifier):
    """A classifier that counts what it is shown, and sees red."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    digest, settings = "1" * 64, {}  # type: ignore[assignment]

    def classify(self, crops: Any, names: Any) -> list[str]:
        self.shown += list(names)
        return ["red"] * len(names)


def test_only_what_a_rule_may_look_at_gets_a_colour() -> None:
    dogs = [Detection((0, 0, 4, 4), 0.02 * n, "dog") for n in range(MOST_COLORED + 4)]
    others = [Detection((0, 0, 4, 4), 0.9, label) for label in ("cat", "mouse", "wall")]
    colors = Counted()
    judge = DetectionJudge("any", Fixed([*dogs, *others]), colors, colored_above=0.05)
    item = Item(id="0", prompt="a photo of a red dog", task="colors", metadata=PROMPTS[0])
    (output,) = judge.judge([Image.new("RGB", (8, 8))], [item])
    assert list(output["detections"]) == ["cat", "dog", "computer mouse"]
    assert output["colors"] == {"dog": [None] * 4 + ["red"] * MOST_COLORED}
    assert colors.shown == ["dog"] * MOST_COLORED
    assert output["detections"]["dog"][3] == [0.0, 0.0, 4.0, 4.0, 0.06]


class Seen(Counted):
    """A classifier that names the colour of the crop that it is shown."""

    def classify(self, crops: Any, names: Any) -> list[str]:
        known = {(255, 0, 0): "red", (0, 0, 255): "blue", (0, 128, 0): "green", (255, 255, 0): "yellow"}
        return [known[crop.getpixel((1, 1))] for crop in crops]


def test_each_object_gets_the_colour_of_its_own_crop() -> None:
    places = ((0, 0, 4, 4), (4, 4, 8, 8))
    judge = DetectionJudge("any", Fixed([Detection(box, 0.9, "dog") for box in places]), Seen())
    pairs = [("red", "blue"), ("green", "yellow")]
    images = []
    for colors in pairs:
        images.append(Image.new("RGB", (8, 8)))
        for color, box in zip(colors, places, strict=True):
            images[-1].paste(color, box)
    items = [Item(id=str(n), prompt="", task="colors", metadata=PROMPTS[0]) for n in range(2)]
    found = [output["colors"]["dog"] for output in judge.judge(images, items)]
    assert found == [list(colors) for colors in pairs]


def test_it_is_a_judge(models: Path, images: Path) -> None:
    # One by one: a batch of another size may round a score differently, see test_mask2former.py.
    detector = Mask2FormerDetector(models / "mask2former" / "converted", "cpu", batch_size=1)
    judge = DetectionJudge("any", detector, ColorClassifier(str(models / "clip"), COLORS, "cpu"))
    items = [Item(id=str(n), prompt=p["prompt"], task=p["tag"], metadata=p) for n, p in enumerate(PROMPTS)]
    files = sorted(images.rglob("0000.png"))
    check_judge(judge, [Image.open(file).convert("RGB") for file in files], items)


def test_speed_compares_both_ways(models: Path, images: Path) -> None:
    weights = models / "mask2former" / "converted"
    pictures = [Image.open(file).convert("RGB") for file in sorted(images.rglob("*.png"))]
    one, several = Mask2FormerDetector(weights, "cpu", 1), Mask2FormerDetector(weights, "cpu", 4)
    told = speed.measure(one, several, pictures, rounds=1)
    assert (told["images"], told["flips"]) == (6, 0)
    assert told["largest_difference"] < 1e-4
    assert told["ratio"] == told["seconds_per_image"]["single"] / told["seconds_per_image"]["batched"]
    turned = Fixed([Detection((0, 0, 1, 1), 0.5, "dog")]), Fixed([Detection((0, 0, 1, 1), 0.2, "dog")])
    told = speed.measure(*turned, pictures[:1], rounds=1)
    assert told["flips"] == 1
    assert told["largest_difference"] == pytest.approx(0.3)


def test_names_of_coco_and_of_geneval() -> None:
    assert tuple(GENEVAL_NAMES.get(name, name) for name in COCO) == COCO_CLASSES
    assert [coco_name(name) for name in COCO_CLASSES] == list(COCO)
    check_labels([name.upper() for name in COCO_CLASSES], "here")
    with pytest.raises(UserError, match=r"found none for person, bicycle, .* and 74 more, in here"):
        check_labels(["sofa", "wall"], "here")


def test_a_table_that_lacks_a_key_is_told() -> None:
    with pytest.raises(UserError, match=r"table \[judge\], found no colors, device,"):
        open_judge({"detector": "transformers", "weights": "anywhere"})
