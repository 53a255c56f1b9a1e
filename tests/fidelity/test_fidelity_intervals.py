"""Intervals and warnings as a user sees them: of files of features, through the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.adapter import Fidelity
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
