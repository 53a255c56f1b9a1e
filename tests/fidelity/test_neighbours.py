"""Precision, recall, density and coverage against torch-fidelity and against every distance at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_prc import prc_features_to_metric

from benchmarks.fidelity.metrics.neighbours import density_coverage, precision_recall, squared_radii
from lumina_eval.errors import UserError

Rows = NDArray[np.float64]


def sets(seed: int = 0, n: int = 70, m: int = 50, d: int = 5) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * 0.9 + 0.3, rng.standard_normal((m, d))


def distances(x: Rows, y: Rows) -> Rows:
    return np.sqrt(((x[:, None] - y[None]) ** 2).sum(axis=2))


def radius(rows: Rows, k: int) -> Rows:
    return np.sort(distances(rows, rows), axis=1)[:, k]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block", [7, 50, 1000])
def test_the_definitions(seed: int, block: int) -> None:
    x, y = sets(seed)
    apart = distances(x, y)
    found = precision_recall(x, y, block=block)
    assert found.precision == (apart <= radius(y, 3)).any(axis=1).mean()
    assert found.recall == (apart <= radius(x, 3)[:, None]).any(axis=0).mean()
    inside = apart < radius(y, 5)
    spread = density_coverage(x, y, block=block)
    assert spread.density == pytest.approx(inside.sum() / (5 * len(x)))
    assert spread.coverage == inside.any(axis=0).mean()
    assert 0 < found.precision < 1
    assert 0 < found.recall < 1
    np.testing.assert_allclose(np.sqrt(squared_radii(x, 3, block)), radius(x, 3))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_torch_fidelity(k: int) -> None:
    x, y = sets(7, 300, 200, 16)
    theirs = prc_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), prc_neighborhood=k, save_cpu_ram=False, verbose=False
    )
    found = precision_recall(x, y, k=k)
    assert found.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert found.recall == pytest.approx(theirs["recall"], abs=1e-6)


def test_equal_sets_and_sets_far_apart() -> None:
    x, y = sets()
    assert precision_recall(x, x.copy()) == (1, 1)
    assert density_coverage(x, x.copy()).coverage == 1
    assert precision_recall(x + 100, y) == (0, 0)
    assert density_coverage(x + 100, y) == (0, 0)


def test_copies_far_from_zero_are_at_distance_zero() -> None:
    """A collapsed model: rounding must not give its copies balls with a radius."""
    picture, y = sets()[0][:1] * 1000, sets()[1]
    collapsed = np.repeat(picture, 20, axis=0) + np.zeros((20, 1))
    assert squared_radii(collapsed, 3).tolist() == [0.0] * 20
    assert precision_recall(collapsed, y).recall == 0


def test_memory_mapped_features(tmp_path: Path) -> None:
    x, y = (rows.astype(np.float32) for rows in sets())
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert precision_recall(mapped, y, block=16) == precision_recall(x, y)


def test_too_few_and_unequal() -> None:
    x, y = sets()
    with pytest.raises(UserError, match=r"at least 4 images in the generated set for 3 neighbours.*\(3, 5\)"):
        precision_recall(x[:3], y)
    with pytest.raises(UserError, match="at least 6 images in the reference set"):
        density_coverage(x, y[:5])
    with pytest.raises(UserError, match="one width, found 5 and 4"):
        density_coverage(x, y[:, :4])
    assert density_coverage(x[:1], y).density >= 0
    x[3, 3] = np.inf
    with pytest.raises(UserError, match="first is row 3"):
        precision_recall(x, y)
