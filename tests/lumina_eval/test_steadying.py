"""The steadied variance: what it leaves, what it raises, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_eval.statistics.steadying import steadied


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
