"""What a comparison of batch sizes counts, and what its command says; the seconds are not tested."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_mask2former import mask2former_folder

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.mmdet import pixels
from benchmarks.judges.detectors.speed import measure
from lumina_eval import cli


class Told:
    """A detector that finds cats of the given scores in each image."""

    name = digest = "told"
    settings: Mapping[str, Any] = {}

    def __init__(self, *scores: float) -> None:
        self.scores = scores

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        return [[Detection((0, 0, 1, 1), score, "cat") for score in self.scores] for _ in images]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["lumina-eval", "assets", "speed", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_a_score_on_the_other_side_of_a_threshold_is_a_flip() -> None:
    images = [Image.new("RGB", (8, 8))] * 2
    found = measure(Told(0.95, 0.5, 0.1), Told(0.85, 0.5, 0.1), images, rounds=1)
    assert found["flips"] == 2  # 0.9, in each image
    assert found["largest_difference"] == pytest.approx(0.1)
    assert measure(Told(0.5), Told(0.5), images, rounds=1)["flips"] == 0


def test_the_command_prints_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pixels, "LONG", 96)
    monkeypatch.setattr(pixels, "SHORT", 64)
    folder = mask2former_folder(tmp_path / "tiny")
    for number in range(3):
        Image.effect_noise((40, 30), 60).convert("RGB").save(tmp_path / f"{number}.png")
    options = ("--batch-size", 2, "--rounds", 1, "--device", "cpu")
    assert run(monkeypatch, folder, tmp_path, *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["batch_size"], found["flips"]) == (3, 2, 0)
    assert found["largest_difference"] < 1e-4


def test_mistakes_are_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "nowhere", tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"error: expected PNG images in {tmp_path}, found none; fix: ")
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    assert run(monkeypatch, "nowhere", tmp_path) == 2
    told = capsys.readouterr().err
    assert "found no folder 'nowhere'" in told
    assert "Traceback" not in told
