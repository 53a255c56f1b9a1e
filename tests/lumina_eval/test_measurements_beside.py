"""Measurements of time beside judged runs: in nobody's way, and refused where they are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_world import MODEL, Cli, with_model

from lumina_eval.runs import find_runs


@pytest.fixture
def out(call: Cli, run_words: list[Any], tmp_path: Path) -> Path:
    """A folder with two judged runs and a measurement."""
    (tmp_path / "other.py").write_text(MODEL.replace("seed % 3", "seed % 2"))  # other images, other scores
    for model in (f"{tmp_path / 'models.py'}:reddish", f"{tmp_path / 'other.py'}:reddish"):
        call(*with_model(run_words, model))
    first, _ = find_runs(tmp_path / "out")
    times = first.with_name("times")
    shutil.copytree(first, times)
    manifest = json.loads((times / "manifest.json").read_text())
    (times / "manifest.json").write_text(json.dumps({**manifest, "judge_kind": "clock"}))
    return tmp_path / "out"


def commands(tmp_path: Path) -> list[list[object]]:
    return [
        ["receipt", "make", "--out", tmp_path / "receipts"],
        ["compare"],
        ["leaderboard", "--out", tmp_path / "site"],
    ]


def test_a_folder_of_runs_is_read_without_its_measurements(call: Cli, out: Path, tmp_path: Path) -> None:
    for words in commands(tmp_path):
        done = call(*words, out)
        assert done.code == 0, (words, done.stderr)
        assert f"passed over: {out / 'runs' / 'times'} is a measurement" in done.stderr
    assert len(list((tmp_path / "receipts").iterdir())) == 2
    assert len(list((tmp_path / "site" / "runs").iterdir())) == 2


def test_a_measurement_that_is_named_is_refused(call: Cli, out: Path, tmp_path: Path) -> None:
    for words in commands(tmp_path):
        done = call(*words, *find_runs(out))
        assert done.code == 2, words
        assert "found a measurement of fake" in done.stderr


def test_a_folder_of_measurements_alone_is_refused(call: Cli, out: Path, tmp_path: Path) -> None:
    for folder in find_runs(out):
        if folder.name != "times":
            shutil.rmtree(folder)
    for words in commands(tmp_path):
        done = call(*words, out)
        assert done.code == 2, words
        assert "found a measurement of fake" in done.stderr


def test_receipts_of_a_folder_are_checked_whatever_has_none(call: Cli, out: Path) -> None:
    first, other, times = find_runs(out)
    call("receipt", "make", out)
    whole = call("receipt", "check", out, "--json")
    assert (whole.code, [row["state"] for row in whole.records]) == (0, ["PASS", "PASS"])
    (other / "receipt.json").unlink()
    done = call("receipt", "check", out, "--json")
    assert done.code == 4
    assert [(row["run_id"], row["state"]) for row in done.records] == [
        (first.name, "PASS"),
        (other.name, "UNCHECKED"),
    ]
    assert f"found none; fix: lumina-eval receipt make {other}" in done.stderr
    named = call("receipt", "check", times)
    assert named.code == 2
    assert "found a measurement of fake" in named.stderr


def test_nothing_is_planned_from_times(call: Cli, out: Path) -> None:
    named = call("plan", "--detect", 0.05, "--run", out / "runs" / "times")
    assert named.code == 2
    assert "found a measurement of fake" in named.stderr
    both = call("plan", "--detect", 0.05, "--run", out, "--json")
    assert both.code == 0, both.stderr
    assert "passed over: " in both.stderr
    assert both.records[0]["runs"] == 2
    asked = call("plan", "--detect", 0.05, "--benchmark", "efficiency")
    assert asked.code == 2
    assert "which times how they are made" in asked.stderr
