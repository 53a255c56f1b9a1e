"""The jackknife against simulations whose truth is known, and against the textbook."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from benchmarks.fidelity.measures import Sets, measured
from benchmarks.fidelity.metrics.extrapolation import fid_infinity
from benchmarks.fidelity.metrics.frechet import FrechetReference, frechet_distance
from benchmarks.fidelity.metrics.jackknife import Groups, Jackknife, frechet_jackknife, jackknife
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.reference import Reference
from benchmarks.fidelity.scoring import group_scores
from lumina_eval.errors import UserError
from lumina_eval.statistics.comparison import compare
from lumina_eval.statistics.endpoint import Endpoint

WIDTH = 6
REFERENCE = FrechetReference(Moments(None, np.zeros(WIDTH), np.eye(WIDTH)))


def covariance(seed: int) -> NDArray[np.float64]:
    factor = np.random.default_rng(seed).standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
    return factor @ factor.T + 0.2 * np.eye(WIDTH)


def true_distance(mean: float) -> float:
    return REFERENCE.distance(Moments(None, np.full(WIDTH, mean), covariance(6)))


def worlds(
    count: int, prompts: int, each: int, mean: float = 0.2, seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """Draw features (prompts, each, d), half of whose variance is between prompts."""
    rng, lower = np.random.default_rng(seed), np.linalg.cholesky(covariance(6))
    for _ in range(count):
        noise = rng.standard_normal((prompts, 1, WIDTH)) + rng.standard_normal((prompts, each, WIDTH))
        yield noise / np.sqrt(2) @ lower.T + mean


def groups_for(prompts: int, each: int, count: int = 20) -> Groups:
    groups = Groups.by_prompt([f"prompt {i}" for i in range(prompts) for _ in range(each)], count)
    assert groups is not None
    return groups


def test_the_interval_covers_where_the_percentile_bootstrap_does_not() -> None:
    """400 sets of 50 prompts with 2 images: 95% of the intervals hold the true distance, within 3 errors."""
    truth = true_distance(0.2)
    rng, groups = np.random.default_rng(1), groups_for(50, 2)
    covered, covered_by_bootstrap, plain, corrected = [], [], [], []
    for number, world in enumerate(worlds(400, 50, 2)):
        found = frechet_jackknife(world.reshape(-1, WIDTH), groups, REFERENCE)
        low, high = found.interval()
        covered.append(low <= truth <= high)
        plain.append(found.value - truth)
        corrected.append(found.corrected - truth)
        if number < 100:
            again = (Moments.of(world[rng.integers(50, size=50)].reshape(-1, WIDTH)) for _ in range(60))
            low, high = np.quantile([REFERENCE.distance(moments) for moments in again], [0.025, 0.975])
            covered_by_bootstrap.append(low <= truth <= high)
    assert 0.917 <= np.mean(covered) <= 0.983
    assert np.mean(covered_by_bootstrap) < 0.85
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 3 * error
    assert np.mean(plain) > 6 * error


def test_the_percentile_bootstrap_of_fid_misses_its_own_estimate() -> None:
    """Of a set that equals its reference, FID is bias alone, and copies of images add as much again."""
    rng, d = np.random.default_rng(5), 32
    rows = rng.standard_normal((200, d))
    reference = FrechetReference(Moments(None, np.zeros(d), np.eye(d)))
    again = [reference.distance(Moments.of(rows[rng.integers(200, size=200)])) for _ in range(200)]
    found = frechet_jackknife(rows, groups_for(200, 1), reference)
    assert np.quantile(again, 0.025) > found.value
    assert found.interval()[0] <= 0 <= found.interval()[1]


def test_a_difference_is_paired() -> None:
    """200 pairs of checkpoints on the same prompts, compared by their scores: covers, and is narrower."""
    shift = 0.3
    truth = true_distance(0.2 + shift) - true_distance(0.2)
    rng, groups = np.random.default_rng(2), groups_for(40, 2)
    real = np.random.default_rng(7).standard_normal((50, WIDTH))
    reference = Reference("normal", Moments(None, np.zeros(WIDTH), np.eye(WIDTH)), real, None, "normal")
    covered, narrower = [], []
    for world in worlds(200, 40, 2, seed=3):
        other = world + shift + 0.1 * rng.standard_normal(world.shape)
        one, two = (
            measured("fid", Sets(rows.reshape(-1, WIDTH), reference, groups)) for rows in (world, other)
        )
        assert one.groups is not None
        assert two.groups is not None
        scores = (group_scores("fid", found, reference) for found in (one, two))
        difference = compare(*scores, endpoint=Endpoint("fid", "distance")).primary
        assert difference.difference == pytest.approx(two.value - one.value)
        assert difference.ci is not None
        low, high = difference.ci
        covered.append(low <= truth <= high)
        apart = np.hypot(one.groups.standard_error, two.groups.standard_error)
        narrower.append((high - low) / 2 / stats.t.ppf(0.975, 19) / apart)
    assert 0.9 <= np.mean(covered) <= 0.99
    assert np.mean(narrower) < 0.7


def test_equal_groups_are_the_textbook() -> None:
    """Of a mean, the jackknife with one prompt in a group is the mean with its standard error."""
    rows = np.random.default_rng(0).standard_normal((12, 1))
    found = jackknife(lambda kept: float(kept.mean()), rows, groups_for(12, 1))
    assert [found.value, found.corrected] == pytest.approx([rows.mean()] * 2)
    assert found.standard_error == pytest.approx(stats.sem(rows[:, 0]))
    half = stats.t.ppf(0.975, 11) * stats.sem(rows[:, 0])
    assert found.interval() == pytest.approx((rows.mean() - half, rows.mean() + half))
    assert found.interval(0.5)[0] > found.interval()[0]
    assert found.pseudo_values @ found.shares == pytest.approx(found.corrected)


def test_groups_of_unequal_size_remove_the_bias_all_the_same() -> None:
    """A value of exactly T + c / N comes back as T."""
    groups = Groups(np.repeat(np.arange(4), [3, 5, 7, 11]), "")
    without = [2 + 9 / (26 - size) for size in (3, 5, 7, 11)]
    found = Jackknife.of(2 + 9 / 26, without, groups)
    assert found.corrected == pytest.approx(2)
    assert found.standard_error == pytest.approx(0, abs=1e-12)


def test_groups_are_by_prompt_and_depend_on_the_prompts_alone() -> None:
    prompts = [f"prompt {i}" for i in range(45)]
    groups = Groups.by_prompt(prompts)
    again = Groups.by_prompt([prompt for prompt in reversed(prompts) for _ in range(3)])
    assert groups is not None
    assert again is not None
    assert groups.digest == again.digest
    assert sorted(groups.sizes.tolist()) == [2] * 15 + [3] * 5
    assert again.index[::3].tolist() == groups.index[::-1].tolist()
    for start in range(0, len(again.index), 3):
        assert len(set(again.index[start : start + 3].tolist())) == 1
    few = Groups.by_prompt(["a", "b", "b", "c"])
    assert few is not None
    assert len(few.sizes) == 3
    assert Groups.by_prompt(["a", "a"]) is None
    assert Groups.by_prompt(["a", "a", "b"]) is None  # a single image would be left
    assert Groups.by_prompt(["a", "a", "b", "b"], reference=["a", "a", "b"]) is None
    assert Groups.by_prompt(["a", "a", "b", "b"], reference=["a", "a", "b", "b"]) is not None
    other = Groups.by_prompt([*prompts, "one more"])
    assert other is not None
    assert other.digest != groups.digest


def test_a_value_for_each_group() -> None:
    with pytest.raises(ValueError, match="expected 20 values"):
        Jackknife.of(1.0, [1.0], groups_for(40, 1))


def test_the_quick_way_is_the_plain_way() -> None:
    rows, groups = next(worlds(1, 30, 2)).reshape(-1, WIDTH), groups_for(30, 2)
    quick = frechet_jackknife(rows, groups, REFERENCE)
    plain = jackknife(lambda kept: frechet_distance(Moments.of(kept), REFERENCE.moments), rows, groups)
    np.testing.assert_allclose(quick.pseudo_values, plain.pseudo_values, rtol=1e-9)


def test_fid_infinity_takes_the_bias_out_and_covers() -> None:
    """100 sets of 120 images: the line ends nearer to the truth than FID, and its interval covers."""
    truth = true_distance(0.2)
    groups, covered, plain, extrapolated = groups_for(120, 1), [], [], []
    for world in worlds(100, 120, 1, seed=4):
        found = fid_infinity(world.reshape(-1, WIDTH), REFERENCE, groups, points=5)
        assert found.groups is not None
        low, high = found.groups.interval()
        covered.append(low <= truth <= high)
        plain.append(found.values[-1] - truth)
        extrapolated.append(found.value - truth)
        assert found.groups.value == found.value
    assert np.mean(covered) >= 0.88
    assert abs(np.mean(extrapolated)) < np.mean(plain) / 2


def test_the_design_of_fid_infinity() -> None:
    rows = next(worlds(1, 500, 1)).reshape(-1, WIDTH)
    found = fid_infinity(rows, REFERENCE)
    assert found.sizes[0] == 50
    assert found.sizes[-1] == 500
    assert len(found.sizes) == 15
    assert found.values[-1] == pytest.approx(frechet_distance(Moments.of(rows), REFERENCE.moments))
    line = stats.linregress(1 / np.array(found.sizes), found.values)
    assert found.value == pytest.approx(line.intercept)
    assert fid_infinity(rows, REFERENCE) == found
    assert fid_infinity(rows, REFERENCE, seed=1).value != found.value
    with pytest.raises(UserError, match="at least 24 images to extrapolate from 6 features, found 23"):
        fid_infinity(rows[:23], REFERENCE)


def shared_world(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], Groups]:
    """Draw 2 images and 4 of a reference for each of 60 prompts, far apart from each other."""
    rng = np.random.default_rng(seed)
    means = 2 * rng.standard_normal((60, 1, WIDTH))
    made, real = ((means + rng.standard_normal((60, count, WIDTH))).reshape(-1, WIDTH) for count in (2, 4))
    prompts = [f"prompt {i}" for i in range(60)]
    groups = Groups.by_prompt(
        [prompt for prompt in prompts for _ in range(2)],
        reference=[prompt for prompt in prompts for _ in range(4)],
    )
    assert groups is not None
    return made, real, groups


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd"])
def test_a_reference_for_the_same_prompts_leaves_with_them(name: str) -> None:
    """Truth against truth of the same prompts, 40 times: no more is corrected than what was too much."""
    corrected, alone, values, covered = [], [], [], []
    for seed in range(40):
        made, real, groups = shared_world(seed)
        reference = Reference("truth", Moments.of(real), real, None, "")
        found = measured(name, Sets(made, reference, groups)).groups
        assert found is not None
        low, high = found.interval()
        covered.append(low <= 0 <= high)
        values.append(found.value)
        corrected.append(found.corrected)
        one_side = dataclasses.replace(groups, reference=None)
        of_one_side = measured(name, Sets(made, reference, one_side)).groups
        assert of_one_side is not None
        alone.append(of_one_side.corrected)
    assert np.mean(covered) >= 0.9
    assert abs(np.mean(corrected)) < abs(np.mean(alone)) / 2


@pytest.mark.parametrize("name", ["fid", "fid_infinity", "kid", "cmmd", "recall", "density"])
def test_both_sides_without_a_group_are_measured_as_if_it_had_never_been(name: str) -> None:
    made, real, groups = shared_world(0)
    assert groups.reference is not None
    whole = Reference("truth", Moments.of(real), real, None, "")
    found = measured(name, Sets(made, whole, groups))
    assert found.groups is not None
    left = real[groups.reference != 3]
    rest = Reference("", Moments.of(left), left, None, "")
    without = measured(name, Sets(made[groups.index != 3], rest, None)).value
    if name != "fid_infinity":  # whose subsets would be others
        pseudo = 20 * found.value - 19 * without
        assert found.groups.pseudo_values[3] == pytest.approx(pseudo, rel=1e-6)
    fixed = measured(name, Sets(made, whole, dataclasses.replace(groups, reference=None)))
    assert fixed.groups is not None
    assert fixed.value == found.value
    assert fixed.groups.pseudo_values[3] != pytest.approx(found.groups.pseudo_values[3], rel=1e-3)
