"""A receipt of a run of every benchmark gives its numbers again, by the benchmark's own rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumina_eval import cli, provenance

Call = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture(autouse=True)
def _of_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and checks are by the same code, whatever the working tree that the tests run in."""
    monkeypatch.setattr(provenance, "git_state", lambda folder: ("c" * 40, False))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``lumina-eval … --json`` in this process."""

    def run(*words: object) -> tuple[int, list[dict[str, Any]]]:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words), "--json"])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return run


def states(record: dict[str, Any]) -> dict[str, str]:
    return {row["what"]: row["state"] for row in record["findings"]}


@pytest.mark.parametrize("benchmark", ["geneval", "dpg", "t2i_compbench"])
def test_numbers_of_images_come_out_of_the_verdicts_again(call: Call, benchmark: str, tmp_path: Path) -> None:
    code, (told,) = call(
        "run", benchmark, "--protocol", "tabletop", "--limit", 2, "--images-per-prompt", 2, "--out", tmp_path,
        "--model", "tabletop-scripted:0.7", "--no-mlflow", "--no-report",
    )  # fmt: skip
    assert code == 0
    _, (made,) = call("receipt", "make", tmp_path)
    code, (checked,) = call("receipt", "check", made["file"], "--images", tmp_path / "images")
    assert (code, set(states(checked).values())) == (0, {"PASS"})
    assert {metric["name"] for metric in told["metrics"]} < set(states(checked))
    assert {"seeds", "image files"} < set(states(checked))


def test_a_distance_needs_its_reference_again(call: Call, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = [tmp_path / "ours.npz", tmp_path / "theirs.npz"]
    for file in files:
        np.savez(file, features=random.normal(size=(60, 4)).astype("f4"))
    call(
        "judge", "fidelity", "--features", files[0], "--reference-features", files[1], "--out", tmp_path,
        "--set", 'metrics=["fid"]',
    )  # fmt: skip
    _, (made,) = call("receipt", "make", tmp_path)
    code, (checked,) = call("receipt", "check", made["file"])
    assert (code, states(checked)["metrics"]) == (4, "UNCHECKED")
    code, (checked,) = call("receipt", "check", made["file"], "--reference", files[1])
    assert (code, states(checked)["fid"]) == (0, "PASS")
    code, (checked,) = call("receipt", "check", made["file"], "--reference", files[0])
    assert (code, states(checked)["fid"]) == (1, "FAIL")
