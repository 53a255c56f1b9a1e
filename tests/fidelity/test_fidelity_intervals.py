"""Intervals and warnings as a user sees them: of files of features, through the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fidelity.adapter import Fidelity
from benchmarks.fidelity.measures import Sets, measured
from benchmarks.fidelity.metrics.jackknife import Groups
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.reference import Reference
from lumina_eval.evaluation import find_protocol
from lumina_eval.records import Aggregate, Metric

Rows = NDArray[np.float64]

WIDTH = 32


def told(folder: Path, made: Rows, metrics: str = '["fid"]', **real: Rows) -> Aggregate:
    """Hold features against others, or against statistics; each row is an image of its own prompt."""
    np.savez(folder / "made.npz", rows=made)
    np.savez(folder / "real.npz", **real)
    bench = Fidelity().with_reference(str(folder / "real.npz"))
    protocol = find_protocol(bench, "folder", [f"metrics={metrics}"])
    return bench.aggregate(protocol, *bench.read_features(str(folder / "made.npz"), protocol))


def named(record: Aggregate, name: str) -> Metric:
    return next(metric for metric in record.metrics if metric.name == name)


def normal(seed: int, count: int, shift: float = 0.0, width: int = WIDTH) -> Rows:
    return np.random.default_rng(seed).standard_normal((count, width)) + shift


def test_the_printed_interval_covers_what_fid_tends_to(tmp_path: Path) -> None:
    """60 sets at a squared distance of 0.32: fid lies above it each time, its interval holds it."""
    truth, covered, values = WIDTH * 0.1**2, [], []
    for seed in range(60):
        record = told(tmp_path, normal(seed, 300, 0.1), mu=np.zeros(WIDTH), sigma=np.eye(WIDTH))
        fid = named(record, "fid")
        assert fid.ci_prompts is not None
        assert fid.value is not None
        values.append(fid.value)
        covered.append(fid.ci_prompts[0] <= truth <= fid.ci_prompts[1])
        warning = next(text for text in record.warnings if "above what endlessly many" in text)
        assert f"{np.mean(fid.ci_prompts):.3g} (95 %" in warning
        assert f"without the bias of N {np.mean(fid.ci_prompts):.6g}, 95 % over prompts" in record.summary
    assert min(values) > truth
    assert np.mean(covered) >= 0.88


def test_features_against_themselves_are_told_without_a_share(tmp_path: Path) -> None:
    """FID is 0 or a rounding error, and nothing can be a part of that."""
    rows = normal(1, 200, width=6)
    shown = [told(tmp_path, rows, rows=real) for real in (rows, rows[::-1])]
    for record in shown:
        fid = named(record, "fid")
        assert fid.value is not None
        assert 0 <= fid.value < 1e-9
        (warning,) = (text for text in record.warnings if "endlessly many" in text)
        assert "as much as it is or more; without that" in warning
        assert "%" not in warning.partition("(95 %")[0]
    single = told(tmp_path, np.repeat(rows[:1], 8, axis=0), rows=np.repeat(rows[:1], 8, axis=0))
    assert named(single, "fid").value == 0


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_images_are_measured_without_what_they_cannot_tell(tmp_path: Path, count: int) -> None:
    every = '["fid", "kid", "precision", "density"]'
    record = told(tmp_path, normal(1, count, width=3), every, rows=normal(2, 9, width=3))
    for name in ("fid", "kid", "density"):
        assert named(record, name).value is not None
    assert (named(record, "precision").value is None) == (count < 4)
    assert (named(record, "kid").ci_prompts is None) == (count < 3)
    assert named(record, "density").ci_prompts is None


def test_a_bias_that_is_a_part_of_fid_is_told_with_its_share(tmp_path: Path) -> None:
    record = told(tmp_path, normal(1, 300, 0.5), rows=normal(2, 300))
    (warning,) = (text for text in record.warnings if "endlessly many" in text)
    assert "% of it; without that" in warning


def test_three_images_of_two_prompts_have_a_distance_and_no_interval() -> None:
    """By verdicts, since each row of a file is a prompt of its own."""
    rows = normal(3, 3, width=3)
    reference = Reference("", Moments.of(rows + 1), rows + 1, None, "")
    groups = Groups.by_prompt(["a", "a", "b"])
    for name in ("fid", "kid", "cmmd"):
        found = measured(name, Sets(rows, reference, groups))
        assert np.isfinite(found.value)
        assert found.groups is None
