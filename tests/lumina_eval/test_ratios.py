from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumina_eval.statistics.ratios import Part, pooled_ratio

#: For each prompt: how much is asked, and the hits of its images.
PROMPTS = st.lists(
    st.integers(1, 5).flatmap(
        lambda asked: st.tuples(st.just(asked), st.lists(st.integers(0, asked), min_size=1, max_size=4))
    ),
    min_size=1,
    max_size=8,
)


def parts_of(prompts: list[tuple[int, list[int]]], last_only: bool = False) -> list[Part]:
    return [
        Part(f"{i}", k, hit, asked, not last_only or k == len(hits) - 1)
        for i, (asked, hits) in enumerate(prompts)
        for k, hit in enumerate(hits)
    ]


@settings(max_examples=60)
@given(PROMPTS, st.booleans(), st.randoms(use_true_random=False))
def test_it_is_all_hits_over_all_that_was_asked(
    prompts: list[tuple[int, list[int]]], last_only: bool, order: random.Random
) -> None:
    parts = parts_of(prompts, last_only)
    found = pooled_ratio("x", parts, "percent")
    counted = [part for part in parts if part.counted]
    expected = 100 * sum(part.hits for part in counted) / sum(part.asked for part in counted)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert (found.n_prompts, found.n_images) == (len(prompts), len(counted))
    for limits in (found.ci_seeds, found.ci_prompts):
        if limits is not None:
            assert 0 <= limits[0] <= (found.value or 0) <= limits[1] <= 100
            assert limits[0] < limits[1]
    assert (found.ci_prompts is None) == (len(prompts) == 1)
    assert (found.ci_seeds is None) == all(len(hits) == 1 for _, hits in prompts)
    order.shuffle(parts)
    assert pooled_ratio("x", parts, "percent") == found


def test_nothing_asked_is_nothing_known() -> None:
    for parts in ([], [Part("a", 0, 0, 0)], [Part("a", 0, 1, 1, counted=False)]):
        found = pooled_ratio("x", parts)
        assert (found.value, found.ci_seeds, found.ci_prompts, found.n_prompts) == (None, None, None, 0)


def test_a_perfect_ratio_is_not_certain() -> None:
    found = pooled_ratio("x", parts_of([(3, [3, 3])] * 20))
    assert found.value == 1
    assert found.ci_prompts is not None
    assert found.ci_prompts[0] < 0.9
    assert found.ci_seeds is not None
    assert found.ci_seeds[0] < 0.95


def test_images_that_do_not_count_say_how_much_an_image_varies() -> None:
    """All that counts is perfect, yet other images of the same prompts fail half of the time."""
    prompts = [(1, [0, 1, 0, 1])] * 30
    last = pooled_ratio("x", parts_of(prompts, last_only=True))
    assert last.value == 1
    assert last.ci_seeds is not None
    assert 0.7 < last.ci_seeds[0] < 0.95


def test_the_spread_over_prompts_is_that_of_the_linearised_ratio() -> None:
    rng = np.random.default_rng(3)
    asked = rng.integers(1, 9, 300)
    hits = rng.binomial(asked, rng.beta(4, 2, 300))
    found = pooled_ratio(
        "x", [Part(str(i), 0, h, a) for i, (h, a) in enumerate(zip(hits, asked, strict=True))]
    )
    ratio = hits.sum() / asked.sum()
    error = np.sqrt(300 / 299 * ((hits - ratio * asked) ** 2).sum()) / asked.sum()
    assert found.ci_prompts is not None
    assert (found.ci_prompts[1] - found.ci_prompts[0]) / 2 == pytest.approx(1.968 * error, rel=0.05)


@pytest.mark.parametrize("last_only", [False, True])
def test_the_intervals_cover(last_only: bool) -> None:
    """Prompts with 1 to 6 questions whose chances are beta distributed: both targets are known."""
    rng, covered, rounds = np.random.default_rng(11), np.zeros(2), 200
    for _ in range(rounds):
        asked, chance = rng.integers(1, 7, 40), rng.beta(3, 1, 40)
        hits = rng.binomial(asked[:, None], chance[:, None], (40, 4))
        prompts = [(int(a), [int(hit) for hit in row]) for a, row in zip(asked, hits, strict=True)]
        found = pooled_ratio("x", parts_of(prompts, last_only))
        targets = (float((asked * chance).sum() / asked.sum()), 0.75)
        for which, limits in enumerate((found.ci_seeds, found.ci_prompts)):
            assert limits is not None
            covered[which] += limits[0] <= targets[which] <= limits[1]
    assert (covered / rounds >= 0.91).all(), covered / rounds
