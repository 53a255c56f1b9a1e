"""Error rates, power and small exact cases of the paired comparison."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lumina_eval.errors import UserError
from lumina_eval.records import Metric, Score
from lumina_eval.statistics.comparison import compare, compare_many
from lumina_eval.statistics.difference import mean_difference
from lumina_eval.statistics.gates import comparison_gate, gate
from lumina_eval.statistics.means import stratified_mean
from lumina_eval.statistics.power import minimum_detectable
from lumina_eval.statistics.sign_flip import holm, sign_flip


def scores_of(values: np.ndarray, tasks: list[str] | None = None) -> list[Score]:
    """Scores from prompts x images."""
    return [
        Score(item_id=f"{i:03d}", task=tasks[i] if tasks else "a", index=k, value=float(value))
        for i, row in enumerate(values)
        for k, value in enumerate(row)
    ]


def simulate(generator, prompts, images, lift, sensitivity=1.0):
    """Two models on the same prompts of differing difficulty; the second is better by `lift` on average."""
    p = generator.beta(2, 2, size=(prompts, 1)) * 0.8 + 0.1
    draws = [generator.random((prompts, images)) < q for q in (p, np.clip(p + lift * sensitivity, 0, 1))]
    return [draw.astype(float) for draw in draws]


# --- the test itself ----------------------------------------------------------------------------------------


def test_exact_p_value_of_a_case_done_by_hand():
    """Five prompts, all better by the same: only the two extreme assignments of 32 are as far out."""
    result = sign_flip([[0.5] * 5], [0] * 5, [1.0])
    assert result.exact
    assert result.p[0] == pytest.approx(2 / 32)


def test_exact_p_value_against_an_enumeration_of_another_kind():
    differences = np.array([0.75, -0.25, 0.5, 0.5, 0.0, 0.25, -0.5, 1.0])
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=8)
    ]
    expected = np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums])
    assert sign_flip([differences], [0] * 8, [1.0]).p[0] == pytest.approx(expected)  # one task: t follows sum


def test_sampled_signs_agree_with_the_t_test_at_large_n():
    differences = np.random.default_rng(2).normal(0.1, 1, 400)
    found = sign_flip([differences], [0] * 400, [1.0], resamples=19999, seed=1)
    assert not found.exact
    assert found.p[0] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.015)


def test_the_seed_is_the_only_chance():
    differences = np.random.default_rng(2).normal(0.1, 1, (1, 60))
    one, same, other = (sign_flip(differences, [0] * 60, [1.0], 999, seed).p[0] for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_identical_runs_have_p_one_and_a_difference_of_zero_that_is_not_certain():
    scores = scores_of(np.eye(20)[:, :4])
    found = compare(scores, scores)
    assert (found.primary.difference, found.primary.p_value) == (0, 1)
    low, high = found.primary.ci
    assert low < 0 < high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_its_definition(p_values):
    found = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for place, i in enumerate(order):
        steps = [(len(p_values) - j) * p_values[order[j]] for j in range(place + 1)]
        assert found[i] == pytest.approx(min(1.0, max(steps)))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


# --- error rates and power ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("prompts", "images", "tasks"), [(24, 2, 3), (60, 4, 6)])
def test_no_difference_is_called_one_in_five_percent(prompts, images, tasks):
    generator = np.random.default_rng(7)
    stratum = np.arange(prompts) % tasks
    share = np.full(tasks, 1 / tasks)
    wrong = []
    for _ in range(600):
        one, other = simulate(generator, prompts, images, 0.0)
        differences = (other - one).mean(axis=1)
        wrong.append(
            sign_flip([differences], stratum, share, 399, int(generator.integers(2**31))).p[0] <= 0.05
        )
    assert np.mean(wrong) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    assert np.mean(wrong) > 0.02


def test_the_interval_of_the_difference_covers():
    generator = np.random.default_rng(8)
    drawn = (simulate(generator, 60, 4, 0.1) for _ in range(2000))
    differences = np.stack([(other - one).mean(axis=1) for one, other in drawn])
    found = mean_difference(differences, np.arange(60) % 3)
    held = (found.low <= 0.1) & (found.high >= 0.1)
    assert abs(np.mean(held) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_the_minimum_detectable_effect_is_found_with_power_80_percent():
    generator = np.random.default_rng(9)
    probes = [
        compare(scores_of(one), scores_of(other), resamples=9).primary.minimum_detectable
        for one, other in (simulate(generator, 80, 4, 0.0) for _ in range(100))
    ]
    effect = float(np.mean(probes))
    found = []
    for _ in range(400):
        one, other = simulate(generator, 80, 4, effect)
        found.append(sign_flip([(other - one).mean(axis=1)], [0] * 80, [1.0], 399).p[0] <= 0.05)
    assert abs(np.mean(found) - 0.8) < 0.02 + 3 * math.sqrt(0.8 * 0.2 / 400)


def test_minimum_detectable_effect_in_the_normal_limit():
    assert minimum_detectable(1.0, 1e9) == pytest.approx(1.959964 + 0.841621, abs=1e-4)


def test_many_candidates_against_one_are_wrong_in_five_percent_of_families():
    generator = np.random.default_rng(10)
    families, single = [], []
    for _ in range(400):
        base, *others = [generator.random((40, 4)) < 0.5 for _ in range(6)]
        differences = np.stack([other.mean(axis=1) - base.mean(axis=1) for other in others])
        test = sign_flip(differences, [0] * 40, [1.0], 399, int(generator.integers(2**31)))
        assert (test.p_max >= test.p).all()
        families.append(test.p_max.min() <= 0.05)
        single.append(test.p.min() <= 0.05)
    assert np.mean(families) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(single) > 0.08  # what the correction is for


# --- the record ---------------------------------------------------------------------------------------------


def test_a_better_candidate_is_better_in_the_task_where_it_is():
    generator = np.random.default_rng(11)
    tasks = ["colors"] * 40 + ["counting"] * 40
    one = (generator.random((80, 4)) < 0.5).astype(float)
    other = one.copy()
    other[:40] = np.maximum(other[:40], generator.random((40, 4)) < 0.6)
    found = compare(scores_of(one, tasks), scores_of(other, tasks), names=("old", "new"))
    assert found.verdict == "better"
    assert (found.baseline, found.candidate) == ("old", "new")
    colors, counting = found.tasks
    assert colors.p_adjusted <= 0.05 < counting.p_adjusted == 1
    assert found.primary.difference == pytest.approx((colors.difference + counting.difference) / 2)
    assert found.primary.candidate - found.primary.baseline == pytest.approx(found.primary.difference)
    assert comparison_gate(found) == "passed"
    worse = compare(scores_of(other, tasks), scores_of(one, tasks))
    assert worse.verdict == "worse"
    assert worse.primary.p_value == found.primary.p_value
    assert worse.primary.difference == -found.primary.difference
    assert comparison_gate(worse) == "failed"


def test_a_difference_that_does_not_matter_is_shown_with_a_margin_not_with_a_large_p():
    generator = np.random.default_rng(12)
    many = simulate(generator, 500, 4, 0.0)
    few = [side[:12] for side in many]
    large = compare(scores_of(many[0]), scores_of(many[1]), margin=0.05)
    small = compare(scores_of(few[0]), scores_of(few[1]), margin=0.05)
    assert large.equivalent
    assert large.verdict == "equivalent"
    assert comparison_gate(large) == "passed"
    assert not small.equivalent
    assert small.verdict == "undecided"
    assert comparison_gate(small) == "undecided"
    assert compare(scores_of(many[0]), scores_of(many[1])).equivalent is None  # no margin, no claim


def test_models_that_differ_by_the_margin_are_called_equivalent_in_two_and_a_half_percent():
    generator = np.random.default_rng(13)
    drawn = (simulate(generator, 60, 4, 0.1) for _ in range(2000))
    differences = np.stack([(other - one).mean(axis=1) for one, other in drawn])
    claimed = mean_difference(differences, np.zeros(60, dtype=np.intp)).high < 0.1
    assert np.mean(claimed) < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 2000)


def test_a_single_prompt_has_no_interval_and_no_power():
    found = compare(scores_of(np.array([[0.0]])), scores_of(np.array([[1.0]])))
    assert found.primary.ci is None
    assert found.primary.minimum_detectable is None
    assert found.primary.p_value == 1
    assert found.verdict == "undecided"


def test_order_of_scores_does_not_matter():
    one, other = (scores_of(side) for side in simulate(np.random.default_rng(14), 20, 3, 0.1))
    assert compare(one, other) == compare(one[::-1], other[::-1])


def test_runs_with_other_prompts_are_refused_by_name():
    whole, less = scores_of(np.zeros((5, 2))), scores_of(np.zeros((4, 2)))
    with pytest.raises(UserError, match=r"1 only in paper \(a/004\); 4 in both; fix"):
        compare(whole, less, names=("paper", "quick"))
    with pytest.raises(UserError, match="only in new"):
        compare(less, whole, names=("old", "new"))
    moved = [score.model_copy(update={"task": "b"}) for score in whole]
    with pytest.raises(UserError, match="0 in both"):
        compare(whole, moved)
    with pytest.raises(UserError, match="at least one candidate"):
        compare_many(whole, {})
    with pytest.raises(UserError, match="margin above 0"):
        compare(whole, whole, margin=0.0)


def test_missing_images_leave_the_values_those_of_the_metric():
    generator = np.random.default_rng(15)
    tasks = ["a"] * 10 + ["b"] * 15
    one, other = (scores_of(side, tasks) for side in simulate(generator, 25, 4, 0.2))
    kept = [score for score in one if (int(score.item_id) * 7 + score.index) % 5]
    found = compare(kept, other)
    assert found.primary.baseline == pytest.approx(stratified_mean(kept).value)
    assert found.primary.candidate == pytest.approx(stratified_mean(other).value)
    assert found.primary.difference == pytest.approx(found.primary.candidate - found.primary.baseline)
    assert found.images_per_prompt == (pytest.approx(len(kept) / 25), 4)


def test_runs_with_other_numbers_of_images_are_compared_and_say_so():
    found = compare(
        scores_of(np.tile([[1.0, 0.0]], (6, 1))), scores_of(np.tile([[1.0, 0.0, 1.0, 0.0]], (6, 1)))
    )
    assert found.primary.difference == 0
    assert found.images_per_prompt == (2, 4)


# --- gates --------------------------------------------------------------------------------------------------


def metric_of(value, ci):
    return Metric(name="overall", value=value, ci_prompts=ci, n_prompts=10, n_images=40)


@pytest.mark.parametrize(
    ("value", "ci", "plain", "strict"),
    [
        (0.70, (0.65, 0.75), "passed", "passed"),
        (0.65, (0.59, 0.71), "passed", "undecided"),
        (0.60, (0.55, 0.65), "passed", "undecided"),
        (0.59, (0.54, 0.64), "failed", "undecided"),
        (0.50, (0.45, 0.55), "failed", "failed"),
        (0.70, None, "passed", "undecided"),
        (None, None, "undecided", "undecided"),
    ],
)
def test_gate(value, ci, plain, strict):
    assert gate(metric_of(value, ci), 0.6) == plain
    assert gate(metric_of(value, ci), 0.6, strict=True) == strict
