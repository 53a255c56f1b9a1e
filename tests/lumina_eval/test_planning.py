"""Power and plans against statsmodels, closed forms and simulated runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from lumina_eval.errors import UserError
from lumina_eval.records import Metric, RunResult, Score
from lumina_eval.statistics.comparison import compare
from lumina_eval.statistics.components import assumed, of_pair, of_run
from lumina_eval.statistics.endpoint import MEAN_OF_CATEGORIES, Endpoint, endpoint_of
from lumina_eval.statistics.pareto import Cost, front
from lumina_eval.statistics.planning import plan, prompts_to_decide
from lumina_eval.statistics.power import minimum_detectable, power_of, prompts_needed


def scores_of(values: np.ndarray, tasks: list[str] | None = None) -> list[Score]:
    return [
        Score(item_id=f"{i:05d}", task=tasks[i] if tasks else "a", index=k, value=float(value))
        for i, row in enumerate(values)
        for k, value in enumerate(row)
    ]


# --- power --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "n"), [(0.1, 5), (0.5, 5), (1.5, 5), (0.1, 30), (0.5, 30), (0.1, 400), (0.2, 400)]
)
def test_power_is_statsmodels(effect, n):
    theirs = TTestPower().power(effect, n, 0.05)
    assert power_of(effect, 1 / math.sqrt(n), n - 1) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("n", [5, 30, 400])
def test_the_smallest_difference_is_statsmodels(n):
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert minimum_detectable(1 / math.sqrt(n), n - 1) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("effect", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_prompts_needed_are_statsmodels(effect, power):
    theirs = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=power)
    assert prompts_needed(effect, 1.0, power=power) == math.ceil(theirs - 1e-6)


@given(st.floats(0.02, 0.5), st.floats(0.01, 0.5))
def test_the_prompts_needed_are_enough_and_not_one_too_many(effect, variance):
    n = prompts_needed(effect, variance)
    assert minimum_detectable(math.sqrt(variance / n), n - 1) <= effect * (1 + 1e-6)
    if n > 2:
        assert minimum_detectable(math.sqrt(variance / (n - 1)), n - 2) > effect * (1 - 1e-6)


def test_prompts_that_do_not_differ_need_the_least_there_are():
    assert prompts_needed(0.01, 0.0) == 2


# --- where the variance comes from --------------------------------------------------------------------------


def world(generator: np.random.Generator, prompts: int, images: int, shared: float) -> tuple[np.ndarray, ...]:
    """Two runs: prompts differ with variance 1 and are alike by half, images with variance 4."""
    common = generator.normal(0, math.sqrt(0.5), prompts)[:, None]
    noise = generator.normal(0, 2 * math.sqrt(shared), (prompts, images))
    return tuple(
        common
        + generator.normal(0, math.sqrt(0.5), prompts)[:, None]
        + noise
        + generator.normal(0, 2 * math.sqrt(1 - shared), (prompts, images))
        for _ in range(2)
    )


def test_two_runs_give_the_parts_they_were_made_of():
    """Prompts: 0.5 of each run that is its own. Images: 4 of each, less what they share."""
    for shared in (0.0, 0.5):
        one, other = map(scores_of, world(np.random.default_rng(1), 4000, 4, shared))
        found = of_pair(one, other, Endpoint(unit="number"))
        assert found.prompts == pytest.approx(1.0, abs=0.2)
        assert found.images == pytest.approx(8 * (1 - shared), rel=0.05)
        assert found.df_ratio == pytest.approx(1.0)


def test_runs_of_other_numbers_of_images_give_the_same_parts():
    one, other = world(np.random.default_rng(2), 4000, 4, 0.0)
    found = of_pair(scores_of(one), scores_of(other[:, :2]), Endpoint(unit="number"))
    assert found.prompts == pytest.approx(1.0, abs=0.3)
    assert found.images == pytest.approx(8, rel=0.06)


def test_one_run_with_the_true_correlation_gives_the_same_parts():
    one, _ = world(np.random.default_rng(3), 4000, 4, 0.0)
    found = of_run(scores_of(one), Endpoint(unit="number"), correlation=0.5)
    assert found.prompts == pytest.approx(1.0, abs=0.2)
    assert found.images == pytest.approx(8, rel=0.05)
    assert "assumed" in found.source


def test_a_single_image_per_prompt_is_said_and_taken_carefully():
    one, other = (scores_of(side[:, :1]) for side in world(np.random.default_rng(4), 400, 1, 0.0))
    found = of_pair(one, other, Endpoint(unit="number"))
    assert found.images == 0
    assert found.of_prompt(1) == found.of_prompt(8)
    assert "between prompts" in found.source


def test_prompts_that_vary_less_than_their_images_do_not_vary():
    """Both figures are then of the images, and are pooled: their mean here, as both have 60 degrees or so."""
    values = np.tile([[1.0, -1.0], [-1.0, 1.0]], (30, 1))  # each prompt's mean is 0
    found = of_pair(scores_of(np.zeros((60, 2))), scores_of(values), Endpoint(unit="number"))
    assert found.prompts == 0
    assert found.images == pytest.approx(np.var(values, ddof=1))


def test_tasks_of_unequal_size_are_weighed_as_the_metric_weighs_them():
    """The standard error of the plan at the prompts at hand is that of the comparison itself."""
    generator = np.random.default_rng(5)
    tasks = ["a"] * 10 + ["b"] * 70
    one, other = (scores_of((generator.random((80, 4)) < p).astype(float), tasks) for p in (0.5, 0.6))
    compared = compare(one, other, resamples=9)
    found = plan(0.05, of_pair(one, other, Endpoint()), prompts_at_hand=80, images_per_prompt=(4,))
    assert found.rows[0].smallest_difference == pytest.approx(compared.primary.minimum_detectable, rel=0.02)


def test_more_images_take_fewer_prompts_and_more_pictures():
    found = plan(0.02, assumed(), prompts_at_hand=553, seconds_per_image=2.0)
    prompts, images = [row.prompts for row in found.rows], [row.images for row in found.rows]
    assert prompts == sorted(prompts, reverse=True)
    assert images == sorted(images)
    assert found.rows[0].hours == pytest.approx(images[0] * 2 / 3600)
    least = [row.smallest_difference for row in found.rows]
    assert least == sorted(least, reverse=True)
    assert found.smallest_possible < least[-1]


def test_what_it_takes_to_decide_decides():
    generator = np.random.default_rng(6)
    one, other = (scores_of((generator.random((40, 4)) < 0.5).astype(float)) for _ in range(2))
    compared = compare(one, other, margin=0.05, resamples=9)
    needed = prompts_to_decide(compared)
    assert needed > 40
    error = compared.primary.minimum_detectable / minimum_detectable(1.0, 39)
    assert power_of(0.05, error * math.sqrt(40 / needed), needed - 1) == pytest.approx(0.8, abs=0.02)


# --- what is compared ---------------------------------------------------------------------------------------


def result(values: dict[str, float], unit: str = "fraction") -> RunResult:
    metrics = [Metric(name=n, value=v, n_prompts=1, n_images=1, unit=unit) for n, v in values.items()]
    coverage = {"expected": 1, "generated": 1, "judged": 1}
    return RunResult(
        benchmark="b", protocol="p", model="m", metrics=metrics, coverage=coverage, run_dir="here"
    )


UNEVEN = [
    Score(item_id=f"{task}{i}", task=task, index=k, value=value)
    for task, prompts in {"a": [[1, 1], [0]], "b": [[0, 0, 0, 1]]}.items()
    for i, values in enumerate(prompts)
    for k, value in enumerate(values)
]


@pytest.mark.parametrize(
    ("value", "weights"),
    [((2 / 3 + 1 / 4) / 2, "equal"), (3 / 7, "images"), ((1 + 0 + 1 / 4) / 3, "prompts")],
)
def test_the_weights_are_those_that_give_the_metric(value, weights):
    endpoint = endpoint_of([(result({"overall": value}), UNEVEN)])
    assert (endpoint.name, endpoint.weights, endpoint.published) == ("overall", weights, True)
    found = compare(UNEVEN, UNEVEN, endpoint=endpoint, resamples=9)
    assert found.primary.baseline == pytest.approx(value)


def test_a_benchmark_without_a_score_over_all_gets_the_mean_of_its_categories_and_says_so():
    endpoint = endpoint_of([(result({"a": 2 / 3, "b": 1 / 4}, "signed_fraction"), UNEVEN)])
    assert (endpoint.name, endpoint.published) == (MEAN_OF_CATEGORIES, False)
    assert endpoint.reach == 2
    assert endpoint.of_task("a").name == "a"


def test_a_metric_that_is_no_mean_of_the_scores_is_refused():
    with pytest.raises(UserError, match="found that it is none"):
        endpoint_of([(result({"overall": 0.123}), UNEVEN)])
    with pytest.raises(UserError, match="found none in here"):
        endpoint_of([(result({}), UNEVEN)])


# --- score and cost -----------------------------------------------------------------------------------------


def test_the_front_is_what_nobody_beats_on_both():
    seconds = [1.0, 2.0, 2.0, None, 0.5]
    costs = [Cost(seconds_per_image=s, images_made=0 if s is None else 9) for s in seconds]
    marks = [cost.on_front for cost in front([0.5, 0.6, 0.4, 0.9, 0.5], costs)]
    assert marks == [False, True, False, None, True]
    marks = [cost.on_front for cost in front([0.5, 0.6, 0.4, 0.9, 0.5], costs, lower_is_better=True)]
    assert marks == [False, False, True, None, True]
    assert [cost.on_front for cost in front([0.5, 0.9], [costs[0], costs[3]])] == [None, None]
