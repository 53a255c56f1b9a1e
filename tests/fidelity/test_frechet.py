"""The Fréchet distance against four other tools, the official cases, and an oracle that needs no root."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as clean_fid
from numpy.typing import NDArray
from pytorch_fid.fid_score import calculate_frechet_distance as pytorch_fid
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from benchmarks.fidelity.metrics.frechet import FrechetReference, frechet_distance
from benchmarks.fidelity.metrics.moments import Moments, RunningMoments
from lumina_eval.errors import UserError

Rows = NDArray[np.float64]


def gaussian(seed: int, n: int, d: int) -> Rows:
    """Correlated rows with a mean, like features."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d) + rng.standard_normal(d)


def constant(rows: Rows, *columns: int) -> Rows:
    rows[:, columns] = 0.5
    return rows


def cases() -> dict[str, tuple[Rows, Rows]]:
    return {
        "more rows than features": (gaussian(0, 300, 24), gaussian(1, 500, 24)),
        "as many rows as features": (gaussian(2, 24, 24), gaussian(3, 24, 24)),
        "fewer rows than features": (gaussian(4, 10, 24), gaussian(5, 14, 24)),
        "fewer on one side": (gaussian(6, 10, 24), gaussian(7, 300, 24)),
        "fewer on the other side": (gaussian(8, 300, 24), gaussian(9, 10, 24)),
        "two rows": (gaussian(10, 2, 24), gaussian(11, 300, 24)),
        "constant columns": (constant(gaussian(12, 300, 24), 3, 9), constant(gaussian(13, 300, 24), 3, 9)),
        "constant columns of one": (constant(gaussian(14, 300, 24), 3, 9), gaussian(15, 300, 24)),
        "few pictures, many copies": (np.repeat(gaussian(16, 5, 24), 60, axis=0), gaussian(17, 300, 24)),
        "mean far from zero": (gaussian(18, 300, 24) + 1e4, gaussian(19, 300, 24) + 1e4),
        "half of it zero": (np.maximum(gaussian(20, 300, 24), 0), np.maximum(gaussian(21, 300, 24), 0)),
    }


def statistics(rows: Rows) -> tuple[Rows, Rows]:
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


def by_singular_values(x: Rows, y: Rows) -> float:
    """Tr (S1 S2)^½ is the nuclear norm of X Yᵀ, centred and scaled: nothing is squared and rooted."""
    a, b = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1), (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
    shift = x.mean(axis=0) - y.mean(axis=0)
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * np.linalg.norm(a @ b.T, "nuc"))


def by_torchmetrics(x: Rows, y: Rows) -> float:
    network = torch.nn.Identity()
    network.num_features = x.shape[1]
    metric = FrechetInceptionDistance(feature=network).set_dtype(torch.float64)
    metric.update(torch.from_numpy(y), real=True)
    metric.update(torch.from_numpy(x), real=False)
    return float(metric.compute())


@pytest.mark.parametrize("name", cases())
def test_equals_the_other_tools(name: str) -> None:
    x, y = cases()[name]
    found = frechet_distance(Moments.of(x), Moments.of(y))
    assert found == pytest.approx(by_singular_values(x, y), rel=2e-8)
    one, two = ({"mu": m, "sigma": s} for m, s in map(statistics, (x, y)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a deprecated call, and of singular matrices
        assert found == pytest.approx(clean_fid(*statistics(x), *statistics(y)), rel=1e-7)
        assert found == pytest.approx(pytorch_fid(*statistics(x), *statistics(y)), rel=1e-7)
    theirs = fid_statistics_to_metric(one, two, verbose=False)["frechet_inception_distance"]
    assert found == pytest.approx(theirs, rel=1e-7)
    if name != "mean far from zero":  # its running sums lose that
        assert found == pytest.approx(by_torchmetrics(x, y), rel=1e-7)


@pytest.mark.parametrize("name", cases())
def test_is_a_distance(name: str) -> None:
    x, y = map(Moments.of, cases()[name])
    there, back = frechet_distance(x, y), frechet_distance(y, x)
    assert there == pytest.approx(back, rel=1e-8)
    assert there > 0
    trace = np.trace(x.covariance) + np.trace(y.covariance)
    assert 0 <= frechet_distance(x, x) <= 1e-7 * trace
    assert FrechetReference(y).distance(x) == there


def test_float32_features_as_clean_fid_keeps_them() -> None:
    x, y = (rows.astype(np.float32) for rows in (gaussian(0, 200, 16), gaussian(1, 200, 16)))
    theirs = fid_statistics_to_metric(
        *(fid_features_to_statistics(torch.from_numpy(rows)) for rows in (x, y)), verbose=False
    )["frechet_inception_distance"]
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(theirs, rel=1e-7)


def test_a_closed_form() -> None:
    """Diagonal covariances commute: the distance is that of the means plus that of the deviations."""
    rng = np.random.default_rng(0)
    m1, m2, s1, s2 = (rng.uniform(0.1, 3, 50) for _ in range(4))
    found = frechet_distance(Moments(None, m1, np.diag(s1**2)), Moments(None, m2, np.diag(s2**2)))
    assert found == pytest.approx(((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum(), rel=1e-12)


def test_a_set_without_spread() -> None:
    one, two = Moments.of(np.ones((5, 4))), Moments.of(np.full((7, 4), 3.0))
    assert frechet_distance(one, two) == pytest.approx(16)
    assert frechet_distance(one, one) == 0


@pytest.mark.parametrize("name", ["tiny_d8", "identical"])
def test_official_cases(shared: Path, name: str) -> None:
    expected = json.loads((shared / "fixtures/fid/expected.json").read_text())["cases"][name]
    rows = np.load(shared / "fixtures/fid" / expected["file"])
    found = frechet_distance(Moments.of(rows["feats1"]), Moments.of(rows["feats2"]))
    others = ("kernel_distance", "KID", "poly_mmd")
    tools = [
        value for tool, value in expected["values"].items() if not any(other in tool for other in others)
    ]
    assert len(tools) == 6
    for value in tools:
        assert found == pytest.approx(max(value, 0), rel=1e-7, abs=1e-12)


def test_batches_and_the_whole_are_one() -> None:
    rows = gaussian(0, 1000, 6) + np.linspace(0, 1e5, 1000)[:, None]  # as of sorted folders
    whole, running = Moments.of(rows), RunningMoments()
    for start in range(0, 1000, 7):
        running.update(rows[start : start + 7])
    for moments in (whole, running.moments()):
        assert moments.n == 1000
        np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance, np.cov(rows, rowvar=False), rtol=1e-10)


def test_the_spread_beside_a_large_mean_is_kept() -> None:
    """Sums of squares in float64 would leave none of these digits."""
    rows = gaussian(0, 500, 6)
    moments = Moments.of(rows + 1e8)
    np.testing.assert_allclose(moments.covariance, np.cov(rows + 1e8, rowvar=False), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.covariance, np.cov(rows, rowvar=False), rtol=1e-6, atol=1e-6)


def test_taking_rows_out() -> None:
    rows = gaussian(0, 200, 6) + 100
    left = Moments.of(rows).without(rows[50:60])
    rest = np.delete(rows, slice(50, 60), axis=0)
    assert left.n == 190
    np.testing.assert_allclose(left.mean, rest.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(left.covariance, np.cov(rest, rowvar=False), rtol=1e-10, atol=1e-12)
    with pytest.raises(UserError, match="at least 2 images beside the 199"):
        Moments.of(rows).without(rows[:199])


def test_what_is_refused() -> None:
    good = gaussian(0, 20, 6)
    bad = good.copy()
    bad[13, 2] = np.nan
    with pytest.raises(UserError, match=r"1 of 20 rows, the first is row 13"):
        Moments.of(bad)
    running = RunningMoments()
    running.update(good)
    bad[13, 2] = np.inf
    with pytest.raises(UserError, match=r"the first is row 33"):
        running.update(bad)
    with pytest.raises(UserError, match="6 features as before, found 5"):
        running.update(good[:, :5])
    with pytest.raises(UserError, match="at least 2 images for a covariance, found 1"):
        Moments.of(good[:1])
    with pytest.raises(UserError, match="at least 2 images for a covariance, found 0"):
        Moments.of(good[:0])
    with pytest.raises(UserError, match="shape"):
        Moments.of(good[0])
    with pytest.raises(UserError, match="one width, found 6 and 5"):
        frechet_distance(Moments.of(good), Moments.of(good[:, :5]))
    with pytest.raises(UserError, match="finite statistics"):
        Moments(20, good[0], np.full((6, 6), np.nan))
    with pytest.raises(UserError, match=r"shape \(d,\)"):
        Moments(20, good[0], np.eye(5))
