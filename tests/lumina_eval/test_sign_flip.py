"""The sign-flip test and Holm's correction against scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lumina_eval.statistics.sign_flip import holm, sign_flip


def studentised(task: np.ndarray, share: np.ndarray):
    """Absolute t of a stratified mean over the last axis."""

    def statistic(d: np.ndarray, axis: int = -1) -> np.ndarray:
        mean, variance = 0.0, 0.0
        for h, weight in enumerate(share):
            part = d[..., task == h]
            mean = mean + weight * part.mean(axis=axis)
            variance = variance + weight**2 * part.var(axis=axis, ddof=1) / part.shape[-1]
        return np.abs(mean) / np.sqrt(variance)

    return statistic


@pytest.mark.parametrize("tasks", [1, 2])
def test_exact_p_is_scipys_permutation_test(tasks):
    """Scipy flips signs for a single sample: its exact null distribution has the same p."""
    for seed in range(5):
        d = np.random.default_rng(seed).normal(0.4, 1, 10)
        task, share = np.arange(10) % tasks, np.full(tasks, 1 / tasks)
        found = sign_flip([d], task, share)
        theirs = stats.permutation_test(
            (d,), studentised(task, share), permutation_type="samples", n_resamples=np.inf,
            alternative="greater", vectorized=True,
        )  # fmt: skip
        assert found.exact
        assert found.p[0] == pytest.approx(theirs.pvalue)


def test_sampled_p_is_the_exact_one_but_for_chance():
    d = np.random.default_rng(3).normal(0.4, 1, 14)
    exact = sign_flip([d], [0] * 14, [1.0], resamples=2**14)
    sampled = sign_flip([d], [0] * 14, [1.0], resamples=10_000, seed=1)
    assert exact.exact
    assert not sampled.exact
    assert sampled.p[0] == pytest.approx(exact.p[0], abs=4 * np.sqrt(exact.p[0] / 10_000))
    assert sampled.p[0] * 10_001 == pytest.approx(round(sampled.p[0] * 10_001))  # (b + 1) / (m + 1)


def test_more_than_a_thousand_prompts_are_no_overflow():
    """DPG-Bench has 1,065; two to the power of that is no float."""
    d = np.random.default_rng(4).normal(0.0, 1, 1100)
    assert 0 < sign_flip([d], [0] * 1100, [1.0], resamples=99).p[0] <= 1


@settings(max_examples=20)  # statsmodels takes 70 ms for each
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


@given(st.lists(st.integers(-4, 4), min_size=3, max_size=8), st.integers(1, 9))
def test_p_knows_neither_direction_nor_unit(differences, scale):
    d = np.array(differences, dtype=float)
    p = sign_flip([d], [0] * len(d), [1.0]).p[0]
    assert sign_flip([-d], [0] * len(d), [1.0]).p[0] == pytest.approx(p)
    assert sign_flip([d * scale], [0] * len(d), [1.0]).p[0] == pytest.approx(p)
    assert 0 < p <= 1
