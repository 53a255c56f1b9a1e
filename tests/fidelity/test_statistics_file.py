"""Statistics and features on disk: read as clean-fid and pytorch-fid write them, and the other way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytorch_fid.fid_score import compute_statistics_of_path

from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.statistics_file import (
    read_features,
    read_statistics,
    write_statistics,
)
from lumina_eval.errors import UserError

ROWS = np.random.default_rng(0).standard_normal((20, 4))


def test_round_trip_and_another_tools_reader(tmp_path: Path) -> None:
    file, moments = tmp_path / "deep" / "a.npz", Moments.of(ROWS)
    write_statistics(file, moments, "e" * 64)
    found = read_statistics(file)
    assert found.moments.n == 20
    assert found.extractor == "e" * 64
    assert (found.moments.mean == moments.mean).all()
    assert (found.moments.covariance == moments.covariance).all()
    mean, covariance = compute_statistics_of_path(str(file), None, 1, 4, "cpu")
    np.testing.assert_array_equal(mean, moments.mean)
    np.testing.assert_array_equal(covariance, moments.covariance)


def test_a_file_of_another_tool(tmp_path: Path) -> None:
    file = tmp_path / "b.npz"
    np.savez(file, mu=ROWS.mean(axis=0), sigma=np.cov(ROWS, rowvar=False))
    found = read_statistics(file)
    assert (found.moments.n, found.extractor) == (None, None)
    write_statistics(tmp_path / "c.npz", found.moments, None)
    ours = read_statistics(tmp_path / "c.npz")
    assert (ours.moments.n, ours.extractor) == (None, None)


def test_features_by_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    np.savez(one, rows=ROWS.astype(np.float32))
    np.savez(two, feats1=ROWS, feats2=ROWS[:5], whole=np.arange(6).reshape(3, 2), flat=np.ones(3))
    assert read_features(str(one)).dtype == np.float32
    assert read_features(f"{two}:feats2").shape == (5, 4)
    assert read_features(f"{two}:whole").dtype == np.float64
    with pytest.raises(UserError, match="one array, found feats1, feats2, whole, flat"):
        read_features(str(two))
    with pytest.raises(UserError, match=r"did you mean feats2.*\); fix: name one"):
        read_features(f"{two}:feats3")
    with pytest.raises(UserError, match=r"\(images, width\), found float64 of \(3,\)"):
        read_features(f"{two}:flat")
    with pytest.raises(UserError, match=r"name an \.npz file"):
        read_features(str(tmp_path / "rows.csv"))


def test_what_is_no_statistics_file(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    with pytest.raises(UserError, match=r"x\.npz"):
        read_statistics(file)
    file.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UserError, match=r"plain arrays.*x\.npz"):
        read_statistics(file)
    file.write_bytes(b"")
    with pytest.raises(UserError, match=r"plain arrays.*x\.npz"):
        read_statistics(file)
    np.savez(file, rows=ROWS)
    with pytest.raises(UserError, match="mu and sigma, found rows"):
        read_statistics(file)
    np.savez(file, mu=ROWS[0], sigma=np.eye(5))
    with pytest.raises(UserError, match=r"\(4,\) and \(5, 5\).*x\.npz"):
        read_statistics(file)
    np.savez(file, mu=np.full(4, np.nan), sigma=np.eye(4))
    with pytest.raises(UserError, match=r"NaN.*x\.npz"):
        read_statistics(file)
    np.savez(file, mu=ROWS[0], sigma=np.triu(np.ones((4, 4))))
    with pytest.raises(UserError, match="symmetric"):
        read_statistics(file)
    np.savez(file, mu=np.array([{"a": 1}], dtype=object), sigma=np.eye(1))
    with pytest.raises(UserError, match="plain arrays"):
        read_statistics(file)
    np.savez(file, mu=np.array(["a", "b"]), sigma=np.eye(2))
    with pytest.raises(UserError, match=r"numbers as mu and sigma.*x\.npz"):
        read_statistics(file)
    np.savez(file, mu=ROWS[0], sigma=np.eye(4), n=np.arange(3))
    with pytest.raises(UserError, match=r"one number as n.*x\.npz"):
        read_statistics(file)
    np.savez(file, mu=ROWS[0], sigma=np.eye(4) + 2 * np.eye(4)[::-1])
    with pytest.raises(UserError, match="negative variances"):
        read_statistics(file)


def test_a_rounded_covariance_of_few_images_is_one(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((6, 300)) * np.geomspace(1, 50, 300)
    covariance = np.cov(rows, rowvar=False).astype(np.float32)
    assert np.linalg.eigvalsh(covariance.astype(np.float64))[0] < 0
    np.savez(tmp_path / "x.npz", mu=rows.mean(axis=0), sigma=covariance)
    assert read_statistics(tmp_path / "x.npz").moments.width == 300


@pytest.mark.parametrize("content", [b"name,size\n", b"\xff\xd8\xff\xe0JFIF image"])
def test_a_file_of_another_kind_is_not_taken_for_a_pickle(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    with pytest.raises(UserError, match="found a file of another kind") as caught:
        read_statistics(file)
    assert "unsafe" not in str(caught.value)


def test_no_features_are_no_set(tmp_path: Path) -> None:
    for name, shape in (("no_rows", (0, 4)), ("no_width", (4, 0))):
        np.savez(tmp_path / f"{name}.npz", rows=np.zeros(shape))
        with pytest.raises(UserError, match="found none"):
            read_features(str(tmp_path / f"{name}.npz"))
