"""``lumina-eval verify fidelity``: equal to the tools installed, and a number that is off is told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity import verification
from lumina_eval import cli

SETS = tuple(np.random.default_rng(seed).standard_normal((96, 64)) * (seed + 1) for seed in range(2))


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features drawn at random in place of those of pictures, for the sake of time."""
    monkeypatch.setattr(verification, "two_sets", lambda protocol: SETS)


def verify(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lumina-eval", "verify", "fidelity", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_tools_that_are_installed_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = np.random.get_state()[1].copy()
    assert verify(monkeypatch, "--out", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert "4 PASS, 0 FAIL" in told
    assert "(clean-fid 0." in told
    assert "(torchmetrics 1." in told
    assert np.array_equal(np.random.get_state()[1], before), "clean-fid's seed stays within"


def test_a_number_that_is_off_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = verification.frechet_distance
    monkeypatch.setattr(verification, "frechet_distance", lambda one, two: right(one, two) * (1 + 1e-6))
    assert verify(monkeypatch, "--out", str(tmp_path)) == 1
    assert "2 PASS, 2 FAIL" in capsys.readouterr().out


def test_images_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(monkeypatch, "--images", str(tmp_path), "--out", str(tmp_path)) == 2
    assert "fix: leave the option out" in capsys.readouterr().err
