"""The rules against what the official script gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.geneval.rules import Options, evaluate, iou, relative_position
from benchmarks.geneval.vocabulary import COCO_CLASSES

pytestmark = pytest.mark.parity

OPTION_NAMES = {
    "THRESHOLD": "threshold",
    "COUNTING_THRESHOLD": "counting_threshold",
    "MAX_OBJECTS": "max_objects",
    "NMS_THRESHOLD": "max_overlap",
    "POSITION_THRESHOLD": "position_threshold",
}


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / "fixtures" / "geneval" / name).read_text())


def asked_colors(case: dict[str, Any]) -> dict[str, list[str | None]]:
    """The colours with all those taken out that the official script never asked for."""
    asked = {(name, index) for name, indices, _ in case["color_calls"] for index in indices}
    return {
        name: [color if (name, index) in asked else None for index, color in enumerate(colors)]
        for name, colors in case["colors"].items()
    }


def words(reason: str) -> list[list[str]]:
    """A reason by line, modulo the order of two relations (the official script joins a set)."""
    return [sorted(line.removesuffix(" target").replace("found ", "found and ").split(" and ")) for line in
            reason.split("\n")]  # fmt: skip


def test_evaluate(shared: Path) -> None:
    cases = load(shared, "evaluate_cases.json")["cases"]
    assert len(cases) >= 100
    for case in cases:
        options = Options(**{OPTION_NAMES[name]: value for name, value in case["options"].items()})
        outcome = evaluate(case["metadata"], case["detections"], asked_colors(case), COCO_CLASSES, options)
        expected = case["expected"]
        assert outcome.correct == expected["correct"], case["name"]
        assert outcome.details == expected["details"], case["name"]
        assert words(outcome.reason) == words(expected["reason"]), case["name"]
        assert json.dumps(case["metadata"]) == expected["metadata"]


def test_relative_position(shared: Path) -> None:
    for case in load(shared, "relative_position_cases.json"):
        assert relative_position(case["a"], case["b"]) == set(case["relations"]), case


def test_iou(shared: Path) -> None:
    for case in load(shared, "iou_cases.json"):
        assert iou(case["a"], case["b"]) == pytest.approx(case["iou"], abs=1e-12), case
