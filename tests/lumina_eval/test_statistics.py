"""Estimates against closed forms, scripted truths and resampling."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lumina_eval.records import Score
from lumina_eval.statistics.clusters import Clusters
from lumina_eval.statistics.means import interval, metric, moments, stratified_mean, welch

SIMULATIONS = 2000
NOISE = 3 * math.sqrt(0.95 * 0.05 / SIMULATIONS)  # three standard errors of a simulated coverage


def scores_of(tasks: dict[str, list[list[float]]]) -> list[Score]:
    """Scores from task -> prompts -> values of their images."""
    return [
        Score(item_id=f"{task}-{i}", task=task, index=k, value=value)
        for task, prompts in tasks.items()
        for i, values in enumerate(prompts)
        for k, value in enumerate(values)
    ]


# --- closed forms -------------------------------------------------------------------------------------------


def test_overall_is_the_mean_of_task_means_over_images():
    scores = scores_of({"a": [[1, 1], [0]], "b": [[0, 0, 0, 1]]})
    assert stratified_mean(scores).value == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert stratified_mean(scores, weights="images").value == pytest.approx(3 / 7)


def test_one_task_without_bounds_is_students_interval_of_the_prompt_means():
    values = np.random.default_rng(3).normal(5, 2, size=(12, 3))
    found = stratified_mean(scores_of({"a": values.tolist()}), bounds=None)
    means = values.mean(axis=1)
    expected = stats.t.interval(0.95, 11, means.mean(), means.std(ddof=1) / math.sqrt(12))
    assert found.ci_prompts == pytest.approx(expected)
    assert found.df_prompts == pytest.approx(11)
    assert found.se_seeds == pytest.approx(math.sqrt(values.var(axis=1, ddof=1).mean() / 36))


def test_two_tasks_are_welchs_interval():
    generator = np.random.default_rng(4)
    one, two = generator.normal(0, 1, 9), generator.normal(0, 5, 25)
    found = stratified_mean(
        scores_of({"a": [[x] for x in one], "b": [[-x] for x in two]}), bounds=None
    )  # half the difference of two means
    welch = stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    assert found.ci_prompts == pytest.approx((welch.low / 2, welch.high / 2))


def test_one_image_per_prompt_is_nearly_wilsons_interval():
    found = stratified_mean(scores_of({"a": [[1.0]] * 180 + [[0.0]] * 20}))
    wilson = stats.binomtest(180, 200).proportion_ci(0.95, "wilson")
    assert found.ci_prompts == pytest.approx((wilson.low, wilson.high), abs=5e-4)  # n - 1, and t for normal


def test_a_perfect_score_is_wilson_at_the_number_of_prompts_and_of_images():
    found = stratified_mean(scores_of({"a": [[1.0] * 4] * 400}))
    for limits, n in ((found.ci_prompts, 400), (found.ci_seeds, 1600)):
        wilson = stats.binomtest(n, n).proportion_ci(0.95, "wilson")
        assert limits == pytest.approx((wilson.low, 1.0), abs=2e-4)


def test_percent_is_fraction_times_a_hundred():
    tasks = {"a": [[0.2, 0.6], [1, 1], [0.4, 0.4]], "b": [[0, 1], [1, 1]]}
    fraction = metric("overall", scores_of(tasks), "fraction")
    percent = metric(
        "overall", scores_of({t: [[100 * v for v in p] for p in ps] for t, ps in tasks.items()}), "percent"
    )
    assert percent.value == pytest.approx(100 * fraction.value)
    assert percent.ci_prompts == pytest.approx([100 * end for end in fraction.ci_prompts])
    assert percent.ci_seeds == pytest.approx([100 * end for end in fraction.ci_seeds])


# --- the steadied variance ----------------------------------------------------------------------------------


def test_one_miss_among_many_prompts_is_nearly_a_third_of_the_variance_of_a_lost_prompt():
    """Its V weighs two observations, what there would be if the prompt stood or fell weighs one."""
    n = 20_000
    found = stratified_mean(scores_of({"a": [[0.0, 1.0, 1.0, 1.0]] + [[1.0] * 4] * (n - 1)}))
    missed, lost = (0.25 / n) ** 2, 0.25 / n * (1 - 0.25 / n) / n
    assert found.se_prompts**2 == pytest.approx((2 * missed + lost) / 3, rel=1e-3)


def test_where_images_of_a_prompt_are_alike_there_is_nothing_to_steady():
    tasks = {"a": [[1.0] * 4] * 9 + [[0.0] * 4] * 3, "b": [[1.0] * 4] * 2 + [[0.0] * 4] * 4}
    found = moments(Clusters.of_scores(scores_of(tasks)), bounds=(0, 1))
    assert found.steady_prompts == pytest.approx(found.var_prompts)


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.0)], ids=["unbounded", "similarity"])
def test_what_is_no_share_of_anything_is_not_steadied(bounds):
    """Cosines keep to a small part of their range; the variance at its ends would swamp theirs."""
    values = np.random.default_rng(6).normal(0.3, 0.03, size=(24, 4))
    found = stratified_mean(scores_of({"a": values.tolist()}), bounds=bounds)
    means = values.mean(axis=1)
    assert found.se_prompts == pytest.approx(means.std(ddof=1) / math.sqrt(24))
    student = stats.t.interval(0.95, 23, means.mean(), found.se_prompts)
    assert found.ci_prompts == pytest.approx(student, abs=1e-3)


def test_comparisons_and_plans_keep_the_variance_as_it_is():
    clusters = Clusters.of_scores(scores_of({"a": [[0.0, 1.0]] + [[1.0, 1.0]] * 9}))
    with_bounds, without = moments(clusters, bounds=(0, 1)), moments(clusters)
    assert with_bounds.var_prompts == without.var_prompts == without.steady_prompts
    assert with_bounds.steady_prompts > with_bounds.var_prompts
    assert with_bounds.var_seeds == without.var_seeds == without.steady_seeds


@pytest.mark.parametrize(("prompts", "mean"), [(15, 0.9), (80, 0.98)])
def test_few_misses_among_many_questions_do_not_make_a_score_look_sure(prompts, mean):
    """Without steadying 0.90 and 0.89 of these intervals hold the truth."""
    generator = np.random.default_rng(8)
    p = generator.beta(1.5 * mean, 1.5 * (1 - mean), size=(SIMULATIONS, prompts, 1))
    share = generator.binomial(10, np.broadcast_to(p, (SIMULATIONS, prompts, 4))) / 10
    m = moments(Clusters.of_array(share, np.zeros(prompts, int)), bounds=(0, 1))
    low, high = interval(m.value, m.steady_prompts, m.df_prompts, m.n_prompts, (0, 1), 0.95)
    assert np.mean((low <= mean) & (mean <= high)) > 0.95 - NOISE


# --- degrees of freedom of many small variances -------------------------------------------------------------


def test_welchs_degrees_of_freedom():
    one, other = 0.3, 0.05  # variances of means of 5 and of 9
    expected = (one + other) ** 2 / (one**2 / 6 + other**2 / 10) - 2  # Welch 1947
    variance, df = welch(np.array([one, other]), np.array([4.0, 8.0]), 12)
    assert (variance, df) == pytest.approx((0.35, expected))
    assert welch(np.array([0.2]), np.array([4.0]), 4)[1] == pytest.approx(4)
    assert welch(np.zeros(3), np.full(3, 3.0), 9)[1] == 9
    assert welch(np.ones(3), np.full(3, 3.0), 9)[1] == 9  # never more than there are


def test_few_images_of_few_prompts_are_not_too_careful_of_seeds():
    """With Satterthwaite's degrees of freedom 0.963 hold the truth."""
    found, _ = coverage([0.8], [15], 4, 0.4, True, seed=1)
    assert abs(found - 0.95) < 0.005 + NOISE


# --- what cannot be said is null ----------------------------------------------------------------------------


def test_one_image_per_prompt_says_nothing_about_seeds():
    found = stratified_mean(scores_of({"a": [[1.0], [0.0], [1.0]]}))
    assert found.ci_seeds is None
    assert found.ci_prompts is not None


def test_one_prompt_says_nothing_about_prompts():
    found = stratified_mean(scores_of({"a": [[1.0, 0.0, 1.0]]}))
    assert found.ci_prompts is None
    assert found.ci_seeds is not None


def test_no_scores_is_a_null_metric():
    nothing = metric("overall", [])
    assert (nothing.value, nothing.ci_seeds, nothing.ci_prompts, nothing.n_images) == (None, None, None, 0)
    with pytest.raises(ValueError, match="no scores"):
        stratified_mean([])


def test_no_variance_without_bounds_is_no_interval():
    assert stratified_mean(scores_of({"a": [[2.0, 2.0]] * 5}), bounds=None).ci_prompts is None


def test_a_task_with_one_prompt_does_not_make_the_interval_narrower():
    rest = [[1, 0], [0, 0], [1, 1], [0, 1]]
    lonely = stratified_mean(scores_of({"a": rest, "b": [[1, 0]]}))
    full = stratified_mean(scores_of({"a": rest, "b": rest}))
    assert lonely.se_prompts > full.se_prompts


def test_wrong_scores_are_refused():
    with pytest.raises(ValueError, match="twice"):
        stratified_mean([Score(item_id="1", task="a", index=0, value=1.0)] * 2)
    with pytest.raises(ValueError, match="outside"):
        stratified_mean(scores_of({"a": [[50.0]]}))


# --- coverage in simulated worlds with a known truth --------------------------------------------------------


def coverage(means, prompts, images, agreement, fixed_prompts, seed=0):
    """Shares of simulations in which the intervals hold the truth, and their mean width.

    The success probability of a prompt is beta distributed around its task's mean, with intraclass
    correlation `agreement`; with `fixed_prompts` it is drawn once and `ci_seeds` is looked at.
    """
    generator = np.random.default_rng(seed)
    task = np.repeat(np.arange(len(means)), prompts)
    mean = np.asarray(means)[task]
    a, b = mean * (1 - agreement) / agreement, (1 - mean) * (1 - agreement) / agreement
    if fixed_prompts:
        p = np.broadcast_to(generator.beta(a, b), (SIMULATIONS, len(task)))
        truth = np.mean([p[0, task == h].mean() for h in range(len(means))])
    else:
        p, truth = generator.beta(a, b, size=(SIMULATIONS, len(task))), np.mean(means)
    x = (generator.random((SIMULATIONS, len(task), images)) < p[..., None]).astype(float)
    m = moments(Clusters.of_array(x, task), bounds=(0, 1))
    if fixed_prompts:
        low, high = interval(m.value, m.steady_seeds, m.df_seeds, m.n_images, (0, 1), 0.95)
    else:
        low, high = interval(m.value, m.steady_prompts, m.df_prompts, m.n_prompts, (0, 1), 0.95)
    assert (low >= 0).all()
    assert (low <= m.value).all()
    assert (m.value <= high).all()
    assert (high <= 1).all()
    assert (low < high).all()
    return float(np.mean((low <= truth) & (truth <= high))), float(np.mean(high - low))


GENEVAL = [0.99, 0.87, 0.67, 0.88, 0.2, 0.5]


@pytest.mark.parametrize("fixed_prompts", [False, True], ids=["prompts", "seeds"])
@pytest.mark.parametrize(
    ("means", "prompts", "images", "agreement"),
    [
        (GENEVAL, [80, 99, 80, 94, 100, 100], 4, 0.4),
        (GENEVAL, [15] * 6, 4, 0.4),
        ([0.5], [50], 4, 0.3),
        ([0.9] * 3, [30] * 3, 4, 0.05),
    ],
    ids=["geneval", "geneval-15", "one-task", "nearly-independent"],
)
def test_intervals_cover_95_percent(means, prompts, images, agreement, fixed_prompts):
    found, _ = coverage(means, prompts, images, agreement, fixed_prompts)
    assert abs(found - 0.95) < 0.01 + NOISE


@pytest.mark.parametrize("fixed_prompts", [False, True], ids=["prompts", "seeds"])
@pytest.mark.parametrize("mirrored", [False, True], ids=["near-1", "near-0"])
@pytest.mark.parametrize(
    ("mean", "prompts", "agreement"),
    [(0.95, 15, 0.3), (0.98, 80, 0.3), (0.99, 80, 0.3), (0.98, 300, 0.5), (0.995, 300, 0.2)],
)
def test_intervals_cover_near_the_ends_too(mean, prompts, agreement, mirrored, fixed_prompts):
    """Discrete counts near an end make coverage jagged; it may be above 95 %, and little below."""
    found, _ = coverage([1 - mean if mirrored else mean], [prompts], 4, agreement, fixed_prompts)
    assert found > 0.93 - NOISE


UNBALANCED = [8, 50, 24, 112, 120, 40]


@pytest.mark.parametrize("mean", [0.05, 0.9, 0.95, 0.99])
def test_unbalanced_tasks_near_an_end_are_covered(mean):
    """With the variance of each task as it is `ci_prompts` would hold the truth in 0.92, at 0.99 in 0.88."""
    found, _ = coverage([mean] * 6, UNBALANCED, 4, 0.4, fixed_prompts=False, seed=3)
    assert abs(found - 0.95) < 0.01 + NOISE


@pytest.mark.parametrize("mean", [0.01, 0.99])
def test_unbalanced_tasks_near_an_end_are_covered_over_seeds_too(mean):
    """Prompts are drawn for each simulation: of one set of them chance decides how near an end they lie."""
    generator = np.random.default_rng(4)
    task = np.repeat(np.arange(6), UNBALANCED)
    p = generator.beta(1.5 * mean, 1.5 * (1 - mean), size=(SIMULATIONS, len(task)))
    truth = np.mean([p[:, task == h].mean(axis=1) for h in range(6)], axis=0)
    x = (generator.random((SIMULATIONS, len(task), 4)) < p[..., None]).astype(float)
    m = moments(Clusters.of_array(x, task), bounds=(0, 1))
    held = []
    for variance in (m.steady_seeds, m.var_seeds):
        low, high = interval(m.value, variance, m.df_seeds, m.n_images, (0, 1), 0.95)
        held.append(np.mean((low <= truth) & (truth <= high)))
    assert abs(held[0] - 0.95) < 0.01 + NOISE
    assert held[1] < held[0] - 0.01


def test_the_question_matters():
    """With prompts that differ much, seeds are known far better than prompts."""
    _, prompts = coverage([0.5], [100], 4, 0.8, False)
    _, seeds = coverage([0.5], [100], 4, 0.8, True)
    assert seeds < prompts / 2


# --- a check of another kind --------------------------------------------------------------------------------


def bootstrap_of_prompts(scores: list[Score], weights: str, resamples: int) -> tuple[float, float]:
    """The percentile bootstrap of whole prompts within task, as others print it."""
    generator = np.random.default_rng(1)
    sums, counts = [], []
    for task in dict.fromkeys(score.task for score in scores):
        own = [score for score in scores if score.task == task]
        prompts = [
            [score.value for score in own if score.item_id == item]
            for item in dict.fromkeys(score.item_id for score in own)
        ]
        drawn = generator.integers(len(prompts), size=(resamples, len(prompts)))
        sums.append(np.array([sum(values) for values in prompts])[drawn].sum(axis=1))
        counts.append(np.array([len(values) for values in prompts])[drawn].sum(axis=1))
    found = (
        np.mean([total / count for total, count in zip(sums, counts, strict=True)], axis=0)
        if weights == "equal"
        else sum(sums) / sum(counts)
    )
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("weights", ["equal", "images"])
def test_bootstrap_of_whole_prompts_agrees(weights):
    generator = random.Random(5)
    scores = scores_of({
        task: [[float(generator.random() < p) for _ in range(generator.choice([2, 3, 4]))]
               for p in (generator.betavariate(2, 1) for _ in range(n))]
        for task, n in (("a", 120), ("b", 60), ("c", 200))
    })  # fmt: skip
    found = stratified_mean(scores, weights=weights)
    low, high = bootstrap_of_prompts(scores, weights, resamples=4000)
    width = high - low
    assert found.ci_prompts == pytest.approx((low, high), abs=0.08 * width)


# --- properties ---------------------------------------------------------------------------------------------

prompt = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=4)
worlds = st.dictionaries(st.sampled_from("abcd"), st.lists(prompt, min_size=1, max_size=6), min_size=1)


@given(worlds, st.sampled_from(["equal", "images"]))
def test_intervals_are_within_bounds_hold_the_estimate_and_are_never_a_point(world, weights):
    found = stratified_mean(scores_of(world), weights=weights)
    for limits in (found.ci_seeds, found.ci_prompts):
        if limits is not None:
            assert 0 <= limits[0] <= found.value <= limits[1] <= 1
            assert limits[0] < limits[1]


@given(worlds, st.randoms(use_true_random=False))
def test_the_order_of_scores_does_not_matter_to_the_last_bit(world, shuffler):
    scores = scores_of(world)
    shuffled = scores.copy()
    shuffler.shuffle(shuffled)
    assert stratified_mean(shuffled) == stratified_mean(scores)


@given(worlds)
def test_failures_mirror_successes(world):
    found = stratified_mean(scores_of(world))
    mirror = stratified_mean(scores_of({t: [[1 - v for v in p] for p in ps] for t, ps in world.items()}))
    assert mirror.value == pytest.approx(1 - found.value)
    for one, other in ((found.ci_seeds, mirror.ci_seeds), (found.ci_prompts, mirror.ci_prompts)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert other == pytest.approx((1 - one[1], 1 - one[0]), abs=1e-9)


@given(worlds)
def test_a_higher_level_is_a_wider_interval(world):
    narrow, wide = (stratified_mean(scores_of(world), level=level) for level in (0.8, 0.99))
    for inner, outer in ((narrow.ci_seeds, wide.ci_seeds), (narrow.ci_prompts, wide.ci_prompts)):
        if inner is not None and outer is not None:
            assert outer[0] <= inner[0] + 1e-12
            assert inner[1] <= outer[1] + 1e-12
