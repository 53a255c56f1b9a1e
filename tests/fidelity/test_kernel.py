"""KID and CMMD against torch-fidelity, clean-fid, torchmetrics, plain sums over pairs, and simulation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import kernel_distance
from numpy.typing import NDArray
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import poly_mmd

from benchmarks.fidelity.metrics.jackknife import Groups, jackknife
from benchmarks.fidelity.metrics.kernel import (
    CMMD_SIGMA,
    KernelReference,
    cmmd_reference,
    cubic,
    gaussian,
    kid_reference,
)
from benchmarks.fidelity.metrics.kernel_subsets import kid_clean_fid, kid_torch_fidelity
from lumina_eval.errors import UserError

Rows = NDArray[np.float64]


def features(seed: int, n: int, d: int = 12) -> Rows:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d) + 0.3


def by_pairs(x: Rows, y: Rows, kernel: Callable[[Rows, Rows], float], diagonal: bool) -> float:
    """MMD² as its definition says, pair by pair."""

    def mean(one: Rows, two: Rows) -> float:
        same = one is two and not diagonal
        return float(
            np.mean(
                [kernel(a, b) for i, a in enumerate(one) for j, b in enumerate(two) if not (same and i == j)]
            )
        )

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


@pytest.mark.parametrize(
    ("dtype", "subsets", "size"), [(np.float32, 100, 1000), (np.float64, 30, 200), (np.float32, 30, 200)]
)
def test_torch_fidelity_kid_to_the_last_digits(dtype: type, subsets: int, size: int) -> None:
    x, y = features(0, 1100).astype(dtype), features(1, 1300).astype(dtype)
    chosen = {} if size == 1000 else {"kid_subsets": subsets, "kid_subset_size": size}  # its own defaults
    theirs = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), verbose=False, **chosen)
    found = kid_torch_fidelity(x, y) if size == 1000 else kid_torch_fidelity(x, y, subsets, size)
    assert found == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-12)


def test_clean_fid_kid_without_the_global_generator() -> None:
    x, y = features(0, 90), features(1, 70)
    state = np.random.get_state()
    try:
        np.random.seed(0)
        theirs = kernel_distance(y, x, num_subsets=20, max_subset_size=50)
        np.random.seed(3)
        before = np.random.get_state()[1].tolist()
        assert kid_clean_fid(x, y, subsets=20, most=50) == pytest.approx(theirs, rel=1e-12)
        assert np.random.get_state()[1].tolist() == before
    finally:
        np.random.set_state(state)


@pytest.mark.parametrize("name", ["tiny_d8", "identical"])
def test_official_cases(shared: Path, name: str) -> None:
    case = json.loads((shared / "fixtures/fid/expected.json").read_text())["cases"][name]
    rows = np.load(shared / "fixtures/fid" / case["file"])
    one, two = rows["feats1"], rows["feats2"]
    expected = {
        tool.split(",")[0] + ("" if "100" in tool else " small"): value
        for tool, value in case["values"].items()
    }
    clean = "cleanfid.kernel_distance after np.random.seed(0)"
    # clean-fid draws from its second set first, which is the generated one here.
    assert kid_clean_fid(two, one) == pytest.approx(expected[clean], rel=1e-7)
    assert kid_clean_fid(two, one, 10, 32) == pytest.approx(expected[f"{clean} small"], rel=1e-7)
    found = kid_torch_fidelity(one, two, subsets=10, size=32)
    assert found == pytest.approx(expected["torch_fidelity KID mean small"], rel=1e-7)
    poly = expected.get("torchmetrics.poly_mmd on all rows (unbiased) small")
    if poly is not None:
        assert kid_reference(two).discrepancy(one).value == pytest.approx(poly, rel=1e-7)


def test_the_unbiased_estimate_is_the_sum_over_pairs() -> None:
    x, y = features(0, 17), features(1, 23)
    found = KernelReference(y, cubic, block=5).discrepancy(x)
    assert found.value == pytest.approx(by_pairs(x, y, lambda a, b: (a @ b / 12 + 1) ** 3, False), rel=1e-10)
    assert found.biased == pytest.approx(by_pairs(x, y, lambda a, b: (a @ b / 12 + 1) ** 3, True), rel=1e-10)
    same = features(2, 23)
    theirs = poly_mmd(torch.from_numpy(same), torch.from_numpy(y), gamma=1 / 12)
    assert kid_reference(y).discrepancy(same).value == pytest.approx(float(theirs), rel=1e-10)


def test_cmmd_is_the_gaussian_on_unit_vectors_times_1000() -> None:
    x, y = features(0, 17), features(1, 23)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y)]

    def rbf(a: Rows, b: Rows) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / 200))

    found = cmmd_reference(y).discrepancy(x)
    assert found.biased == pytest.approx(1000 * by_pairs(*unit, rbf, True), rel=1e-8)
    assert found.value == pytest.approx(1000 * by_pairs(*unit, rbf, False), rel=1e-8)
    again = cmmd_reference(unit[1]).discrepancy(unit[0])
    assert again.biased == pytest.approx(found.biased, rel=1e-8)
    expected = np.exp(-((x[3] - y[4]) ** 2).sum() / (2 * CMMD_SIGMA**2))
    np.testing.assert_allclose(gaussian(x, y)[3, 4], expected)


def test_unbiased_means_unbiased() -> None:
    """300 pairs of sets of 20 from one distribution: the mean is 0, the biased estimate is not."""
    values, biased = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((20, 3)), rng.standard_normal((25, 3))
        null = KernelReference(y, gaussian, scale=1000.0).discrepancy(x)
        values.append(null.value)
        biased.append(null.biased)
    standard = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * standard
    assert np.mean(biased) > 10 * standard


def test_leaving_prompts_out_is_the_sum_without_them() -> None:
    x, y = features(0, 30), features(1, 25)
    groups = Groups.by_prompt([f"prompt {i // 2}" for i in range(30)], 6)
    assert groups is not None
    quick = KernelReference(y, cubic, block=7).discrepancy(x, groups).groups
    plain = jackknife(lambda rows: kid_reference(y).discrepancy(rows).value, x, groups)
    assert quick is not None
    np.testing.assert_allclose(quick.pseudo_values, plain.pseudo_values, rtol=1e-9)
    alone = Groups.by_prompt([f"prompt {i}" for i in range(30)], 30)
    independent = kid_reference(y).discrepancy(x, alone).groups
    assert independent is not None
    assert independent.corrected == pytest.approx(independent.value)  # of single images, nothing to correct
    assert kid_reference(y).discrepancy(x).groups is None


def test_two_images_are_a_set() -> None:
    x, y = features(0, 2), features(1, 3)
    found = kid_reference(y).discrepancy(x)
    assert found.value == pytest.approx(by_pairs(x, y, lambda a, b: (a @ b / 12 + 1) ** 3, False), rel=1e-10)


def test_what_is_refused() -> None:
    x, y = features(0, 30), features(1, 25)
    with pytest.raises(UserError, match=r"at least 1000 .* in the generated set"):
        kid_torch_fidelity(x, y)
    with pytest.raises(UserError, match=r"one width, found 12 and 5"):
        kid_clean_fid(x, y[:, :5])
    with pytest.raises(UserError, match=r"one width, found 5 and 12"):
        kid_reference(y).discrepancy(x[:, :5])
    with pytest.raises(UserError, match="at least 2 images"):
        kid_reference(y[:1])
    with pytest.raises(UserError, match="found zeros in row 4"):
        cmmd_reference(y).discrepancy(np.where(np.arange(30)[:, None] == 4, 0.0, x))
    x[4, 4] = np.nan
    with pytest.raises(UserError, match="first is row 4"):
        kid_reference(y).discrepancy(x)
    with pytest.raises(UserError, match="finite features"):
        kid_clean_fid(x, y)
