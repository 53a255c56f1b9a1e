"""Active choice: its gain is the change of the intervals that one more vote brings, and it saves votes."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.arena.choice import NORM, PRIOR, covariance, gains, ranked_pairs, strengths
from benchmarks.arena.choice_simulation import share
from benchmarks.arena.layouts import Shown
from benchmarks.arena.manifest import BlindMatchUp
from benchmarks.arena.serve.next_pair import Chooser


def some_wins(models: int, seed: int) -> np.ndarray:
    wins = np.random.default_rng(seed).integers(0, 5, (models, models)).astype(float)
    np.fill_diagonal(wins, 0)
    return wins


@pytest.mark.parametrize("seed", range(3))
def test_strengths_are_the_optimum_of_the_penalised_likelihood(seed: int) -> None:
    wins = some_wins(5, seed)

    def loss(theta: np.ndarray) -> float:
        difference = theta[:, None] - theta[None, :]
        return float((wins * np.log1p(np.exp(-difference))).sum() + (theta**2).sum() / (2 * PRIOR**2))

    best = minimize(loss, np.zeros(5), tol=1e-12).x
    np.testing.assert_allclose(strengths(wins), best - best.mean(), atol=1e-4)


def test_a_model_without_a_defeat_has_a_strength() -> None:
    wins = np.zeros((3, 3))
    wins[0, 1] = wins[1, 2] = 1000
    found = strengths(wins)
    assert np.isfinite(found).all()
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("seed", range(3))
def test_the_gain_is_the_slope_of_the_intervals_norm(seed: int) -> None:
    """Against adding a small vote and computing all intervals anew."""
    wins = some_wins(4, seed)
    counts, theta = 50 * (wins + wins.T), strengths(wins)
    found = gains(theta, counts)
    part = 1e-3

    def norm(of: np.ndarray) -> float:
        return float((np.diag(covariance(theta, of)) ** (NORM / 2)).sum())

    slope = np.zeros((4, 4))
    for i, j in itertools.combinations(range(4), 2):
        more = counts.copy()
        more[i, j] += part
        more[j, i] += part
        slope[i, j] = slope[j, i] = (norm(counts) - norm(more)) / part
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[off] / found.max(), slope[off] / slope.max(), rtol=0.05)
    np.testing.assert_allclose(found, found.T, rtol=1e-12)


def test_equal_pairs_come_in_random_order_and_better_ones_first() -> None:
    worth = np.zeros((4, 4))
    worth[1, 3] = worth[3, 1] = 1
    firsts, seconds = set(), set()
    for seed in range(40):
        ranked = ranked_pairs(worth, np.random.default_rng(seed))
        assert sorted(ranked) == list(itertools.combinations(range(4), 2))
        firsts.add(ranked[0])
        seconds.add(ranked[1])
    assert firsts == {(1, 3)}
    assert len(seconds) == 5


def test_active_choice_needs_at_most_seventy_percent_of_the_votes() -> None:
    assert share(models=12, spread=300, of="widest", arenas=3) <= 0.7


def test_among_equals_no_choice_can_save_much_and_none_is_lost() -> None:
    assert 0.9 <= share(models=6, spread=0, of="mean", arenas=2) <= 1.1


@pytest.fixture
def chooser() -> Chooser:
    models = "abc"
    shown, who = [], {}
    for left, right in itertools.combinations(models, 2):
        for k in range(4):
            name = f"{left}{right}{k}"
            shown.append(Shown(name, f"prompt {k}", "odd" if k % 2 else "even", f"{name}l", f"{name}r"))
            who[name] = BlindMatchUp(left=left, right=right)
    return Chooser(shown, who)


def test_a_voter_sees_each_match_up_once_and_their_category_only(chooser: Chooser) -> None:
    seen: list[str] = []
    while found := chooser.next(set(seen), "odd", [], [], {}):
        seen.append(found.id)
    assert sorted(seen) == ["ab1", "ab3", "ac1", "ac3", "bc1", "bc3"]


def test_pairs_that_are_being_voted_on_are_not_sent_to_everyone(chooser: Chooser) -> None:
    met: Counter[str] = Counter()
    waiting: list[tuple[str, str]] = []
    for _ in range(9):
        found = chooser.next(set(), None, [], waiting, {})
        assert found is not None
        met[found.id[:2]] += 1
        waiting.append((found.id[0], found.id[1]))
    assert met == {"ab": 3, "ac": 3, "bc": 3}


def test_match_ups_that_were_shown_least_come_first(chooser: Chooser) -> None:
    times = {f"{pair}{k}": 1 for pair in ("ab", "ac", "bc") for k in range(4) if k != 2}
    for _ in range(5):
        found = chooser.next(set(), None, [], [], times)
        assert found is not None
        assert found.id.endswith("2")


def test_random_choice_asks_the_pair_that_was_asked_least() -> None:
    tallies = [("a", "b", 1.0, 5), ("c", "a", 1.0, 3), ("c", "b", 0.0, 4)]
    who = {f"{pair}0": BlindMatchUp(left=pair[0], right=pair[1]) for pair in ("ab", "ac", "bc")}
    evenly = Chooser([Shown(name, "p", "all", "l", "r") for name in who], who, "random")
    asked = []
    while found := evenly.next(set(asked), None, tallies, [("b", "c")] * 2, {}):
        asked.append(found.id)
    assert asked == ["ac0", "ab0", "bc0"]  # 3, 5 and 4 votes, two more to come for b and c
