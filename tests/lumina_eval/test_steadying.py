"""The steadied variance: what it leaves, what it raises, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_eval.statistics.steadying import LENT, by_task, steadied


def test_a_single_prompt_that_missed_a_little_weighs_two_observations_against_one():
    """Its influence is all there is: 2 V^2 over the variance of V is 2 for one of very many."""
    influence = np.zeros(100_000)
    influence[0] = 1e-3
    assert steadied(1e-6, influence, 1e-2) == pytest.approx((2 * 1e-6 + 1e-2) / 3, rel=1e-3)


def test_prompts_that_differ_alike_rest_on_all_but_one():
    influence = np.array([1e-2, -1e-2] * 50)
    assert steadied(1e-2, influence, 2e-2) == pytest.approx((99 * 1e-2 + 2e-2) / 100)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(1e-6, 1), st.floats(0, 2))
def test_it_lies_between_the_variance_and_the_most(values, variance, most):
    influence = np.array(values) - np.mean(values)
    found = float(steadied(variance, influence, most))
    assert variance * (1 - 1e-12) <= found <= max(variance, most) * (1 + 1e-12)


def test_what_says_nothing_stays_as_it_is():
    influence = np.zeros((2, 5))
    found = steadied(np.array([0.0, np.nan]), influence, np.array([0.1, 0.1]))
    assert found[0] == 0
    assert np.isnan(found[1])


# --- task by task -------------------------------------------------------------------------------------------


def test_a_task_without_failures_borrows_from_one_that_has_some():
    """100 prompts of variance 0.09 lend to 8 of none; as few as one success and one failure more allow."""
    prompts, mean = np.array([8.0, 100.0]), np.array([1.0, 0.9])
    raised = by_task(np.array([0.0, 0.09 / 100]), 1 / prompts, prompts, mean)
    pooled = 100 * 0.09 / 108
    assert pooled < 0.9 * 0.1  # so that pooled is what is lent
    assert raised == pytest.approx([LENT * pooled / (8 + LENT) / 8, 0.09 / 100])


def test_no_more_is_lent_than_the_mean_of_a_task_allows():
    """Here prompts reach all of p (1 - p): 0.25 where p is 0.5, and 9/10 of 1/10 after 8 of 8."""
    prompts, mean = np.array([8.0, 100.0]), np.array([1.0, 0.5])
    raised = by_task(np.array([0.0, 0.25 / 100]), 1 / prompts, prompts, mean)
    assert raised[0] == pytest.approx(LENT * 0.09 / (8 + LENT) / 8)


def test_the_share_of_what_is_possible_that_prompts_reach_is_lent_with_it():
    """Images nearly independent: prompts of the middle task vary by a quarter of 0.25, so do the others."""
    prompts, mean = np.array([8.0, 100.0]), np.array([1.0, 0.5])
    raised = by_task(np.array([0.0, 0.0625 / 100]), 1 / prompts, prompts, mean)
    assert raised[0] == pytest.approx(LENT * 0.09 / 4 / (8 + LENT) / 8)


def test_tasks_alike_lend_each_other_nothing():
    prompts, mean = np.array([8.0, 50.0, 20.0]), np.full(3, 0.7)
    parts = 0.1 / prompts
    assert by_task(parts, 1 / prompts, prompts, mean) == pytest.approx(parts)
    assert by_task(parts[:1], 1 / prompts[:1], prompts[:1], mean[:1]) == pytest.approx(parts[:1])


@given(
    st.lists(st.tuples(st.integers(1, 99), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(0.01, 100),
)
def test_it_raises_and_goes_with_the_scale(tasks, factor):
    prompts, mean, reached = (np.array(column, dtype=float) for column in zip(*tasks, strict=True))
    parts = mean * (1 - mean) * reached / prompts
    raised = by_task(parts, 1 / prompts, prompts, mean)
    assert (raised >= parts * (1 - 1e-12)).all()
    assert (raised <= 0.25 / prompts * (1 + 1e-12)).all()
    scaled = by_task(parts * factor, factor / prompts, prompts, mean)
    assert scaled == pytest.approx(raised * factor, rel=1e-9, abs=1e-300)


def test_no_variance_anywhere_and_an_unknown_one_stay_as_they_are():
    parts = np.array([[0.0, 0.0], [np.nan, 0.1]])
    mean = np.array([[1.0, 1.0], [0.5, 0.5]])
    raised = by_task(parts, np.ones(2), np.array([3.0, 4.0]), mean)
    assert (raised[0] == 0).all()
    assert np.isnan(raised[1]).all()
