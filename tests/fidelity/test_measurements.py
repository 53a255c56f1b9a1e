"""The scripts that measure speed and memory, at a size that takes no time; no time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.memory import extracted, main, measured
from benchmarks.fidelity.speed import main as speed


def test_speed_compares_equal_distances(capsys: pytest.CaptureFixture[str]) -> None:
    speed(width=24, rows=200, seed=3)
    told = json.loads(capsys.readouterr().out)
    assert told["relative_difference"] < 1e-9
    assert told["fid"] > 0
    assert {"seconds", "clean_fid_seconds", "times_faster", "cores"} <= set(told)


def test_memory_computes_from_mapped_features(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("resource")
    main(images=130, width=6)
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 130
    assert told["peak_resident_mib"] > 10
    again = measured(130, 6)
    for metric in ("fid", "kid", "precision", "recall", "density", "coverage"):
        assert told[metric] == pytest.approx(again[metric], rel=1e-6)


def test_streamed_moments_are_those_of_the_file(tmp_path: Path) -> None:
    mapped, moments = extracted(tmp_path / "rows.npy", 250, 6, seed=1)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_allclose(moments.mean, mapped.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(mapped.astype(np.float64), rowvar=False), rtol=1e-9)
