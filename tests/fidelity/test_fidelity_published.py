"""KID and CMMD as published, from the command line, against the tools' own code and two loops."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cleanfid.fid import kernel_distance
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmarks.fidelity.adapter import Fidelity
from lumina_eval import cli
from lumina_eval.plugins import injected

Judge = Callable[..., tuple[int, dict[str, Any], str]]


def features(seed: int, count: int, shift: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, 4)).astype(np.float32)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Judge:
    """Compare two files of features by one metric; return exit code, record and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(one: np.ndarray, two: np.ndarray, *sets: str) -> tuple[int, dict[str, Any], str]:
        np.savez("a.npz", one)
        np.savez("b.npz", two)
        words = ["judge", "fidelity", "--features", "a.npz", "--reference-features", "b.npz", "--json"]
        changes = [word for one in sets for word in ("--set", one)]
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *words, *changes])
        capsys.readouterr()
        with injected("benchmarks", fidelity=Fidelity), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), json.loads(streams.out or "{}"), streams.err

    return run


def test_kid_as_two_tools_draw_it(judge: Judge) -> None:
    x, y = features(1, 1040, 0.2), features(2, 1060, 0)
    theirs = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), verbose=False)
    np.random.seed(0)
    for tool, expected in (
        ("torch-fidelity", theirs["kernel_inception_distance_mean"]),
        ("clean-fid", kernel_distance(y, x)),
    ):
        code, record, errors = judge(x, y, 'metrics=["kid"]', f"judge.kid={tool}")
        assert code == 0, errors
        (found,) = record["metrics"]
        assert found["value"] == pytest.approx(float(expected), rel=1e-5)
        assert found["ci_prompts"] is None
        assert any(f"as {tool} draws it" in text for text in record["warnings"])


def test_sets_smaller_than_a_tools_subsets_are_refused(judge: Judge) -> None:
    code, _, errors = judge(
        features(1, 40, 0.2), features(2, 40, 0), 'metrics=["kid"]', "judge.kid=torch-fidelity"
    )
    assert code == 2
    assert "at least 1000 images in each subset" in errors
    assert judge(features(1, 9, 0), features(2, 9, 0), "judge.kid=torchfidelity")[0] == 2


def test_cmmd_as_its_authors_publish_it_is_told(judge: Judge) -> None:
    x, y = features(1, 30, 0.2), features(2, 25, 0)
    code, record, _ = judge(x, y, 'metrics=["cmmd"]')
    assert code == 0
    one, two = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x.astype(float), y.astype(float))
    )

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.exp(-np.sum((p - q) ** 2) / 200) for p in a for q in b]))

    expected = 1000 * (mean(one, one) + mean(two, two) - 2 * mean(one, two))
    (said,) = [text for text in record["warnings"] if "as its authors publish it" in text]
    assert float(said.split()[-1]) == pytest.approx(expected, rel=1e-4)
    assert record["metrics"][0]["value"] < expected
