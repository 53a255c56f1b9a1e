"""The interval of a difference against Student's, Wilson's and a cluster-robust regression, and its sides."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lumina_eval.statistics.clusters import Clusters
from lumina_eval.statistics.difference import mean_difference
from lumina_eval.statistics.means import interval, moments

ONE_TASK = np.zeros(60, dtype=np.intp)


def test_without_skew_it_is_students():
    d = np.random.default_rng(0).normal(0, 0.2, 30)
    d = np.concatenate([d, 2 * d.mean() - d])  # symmetrical about its mean
    found = mean_difference(d, ONE_TASK)
    assert (found.low, found.high) == pytest.approx(stats.ttest_1samp(d, 0).confidence_interval(0.95))


def test_without_bounds_it_is_students_with_any_skew():
    d = np.random.default_rng(1).exponential(1, 60)
    found = mean_difference(d, ONE_TASK, reach=None)
    assert (found.low, found.high) == pytest.approx(stats.ttest_1samp(d, 0).confidence_interval(0.95))


def test_losses_alone_end_where_wilsons_interval_ends():
    """Of 2,000 prompts 40 are lost and none gained: the loss is a share, and its limit is that of a share."""
    d = np.zeros(2000)
    d[:40] = -1
    found = mean_difference(d, np.zeros(2000, dtype=np.intp))
    wilson = proportion_confint(40, 2000, 0.05, "wilson")
    assert -found.low == pytest.approx(wilson[1], rel=0.005)
    student = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert found.high == pytest.approx(student.high)  # the other side is as it was
    assert found.low < student.low


def test_no_difference_at_all_is_not_certain():
    found = mean_difference(np.zeros(60), ONE_TASK)
    assert bool(found.alike)
    wilson = proportion_confint(0, 60, 0.05, "wilson")
    assert found.high == pytest.approx(wilson[1], rel=0.05)  # t for normal
    assert found.low == -found.high


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=60, max_size=60))
def test_it_holds_the_estimate_is_mirrored_and_no_narrower_than_students(values):
    d = np.array(values)
    found, mirror = mean_difference(d, ONE_TASK), mean_difference(-d, ONE_TASK)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (mirror.low, mirror.high) == pytest.approx((-found.high, -found.low))
    if not found.alike:
        half = stats.t.ppf(0.975, 59) * np.sqrt(found.variance)
        assert found.low <= max(found.value - half, -1) + 1e-12
        assert found.high >= min(found.value + half, 1) - 1e-12


@given(st.floats(0.5, 0.99), st.floats(0.001, 0.2))
def test_a_higher_level_is_a_wider_interval(level, more):
    d = np.random.default_rng(2).normal(0, 0.2, 60) ** 3
    narrow = mean_difference(d, ONE_TASK, level=level)
    wide = mean_difference(d, ONE_TASK, level=min(level + more, 0.999))
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_percent_is_fraction_times_a_hundred():
    d = np.random.default_rng(3).normal(0.1, 0.2, 60) ** 3
    fraction, percent = mean_difference(d, ONE_TASK), mean_difference(100 * d, ONE_TASK, reach=100.0)
    assert (percent.low, percent.high) == pytest.approx((100 * fraction.low, 100 * fraction.high))


# --- the variances it rests on, against a regression --------------------------------------------------------


def test_the_variance_of_a_task_is_the_cluster_robust_one_of_statsmodels():
    generator = np.random.default_rng(5)
    count = generator.integers(1, 5, 40)
    owner = np.repeat(np.arange(40), count)
    y = generator.normal(0, 1, 40)[owner] + generator.normal(0, 1, len(owner))
    fit = sm.OLS(y, np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": owner})
    total = np.bincount(owner, weights=y)
    clusters = Clusters(total, np.zeros(40), count.astype(float), np.zeros(40, dtype=np.intp))
    found = moments(clusters)
    assert float(found.value) == pytest.approx(fit.params[0])
    assert float(found.var_prompts) == pytest.approx(fit.cov_params()[0, 0])


def test_the_variance_over_tasks_is_that_of_the_mean_of_their_coefficients():
    generator = np.random.default_rng(6)
    task = np.repeat(np.arange(3), 15)
    owner = np.repeat(np.arange(45), 4)
    y = generator.normal(0, 1, 45)[owner] + generator.normal(0, 1, 180)
    design = np.eye(3)[task[owner]]
    fit = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": owner, "use_correction": False})
    mean = np.full(3, 1 / 3)
    found = moments(Clusters.of_array(y.reshape(45, 4), task))
    assert float(found.var_prompts) == pytest.approx(mean @ fit.cov_params() @ mean * 15 / 14)


def test_the_interval_of_a_share_is_statsmodels_wilson():
    for hits, n in ((180, 200), (1, 40), (0, 25), (25, 25)):
        p = hits / n
        low, high = interval(p, p * (1 - p) / n, 1e12, n, (0, 1), 0.95)
        assert (low, high) == pytest.approx(proportion_confint(hits, n, 0.05, "wilson"), abs=1e-6)
