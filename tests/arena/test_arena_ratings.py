"""Ratings against other tools' output, an independent optimiser, and what is known in closed form."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import pytest
from scipy.optimize import minimize, root

from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings import compat, elo, intervals, ranks
from benchmarks.arena.ratings.aggregate import Votes, columns, win_table
from benchmarks.arena.ratings.bootstrap import bootstrap
from benchmarks.arena.ratings.bradley_terry import (
    POINTS,
    NoFiniteOptimumError,
    elo_scale,
    fit,
    fit_many,
)
from benchmarks.arena.ratings.estimate import rate
from benchmarks.arena.ratings.graph import standing
from benchmarks.arena.ratings.results import Anchor, Choices
from benchmarks.arena.ratings.style import controlled_rate, fastchat_controlled, fit_controlled, standardised
from lumina_eval.errors import UserError

SHARED = Path(os.environ.get("LUMINA_SHARED", Path(__file__).parents[3] / "shared"))
FIXTURES = SHARED / "fixtures" / "elo"
OFFICIAL = pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs the official cases")
FASTCHAT = "fastchat.compute_bt (L-BFGS-B, scale 400, init 1000, no anchor model present)"
FASTCHAT_ROUNDS = "fastchat.compute_bootstrap_bt 100 rounds (rng default_rng(0) multinomial): quantiles"
FASTCHAT_ELO = "fastchat.compute_bootstrap_elo K=4 100 rounds after np.random.seed(42): quantiles"
EXACT = "exact BT MLE (Newton to 1e-13, mean of models = 1000)"
EVALICA = "evalica.bradley_terry as Elo: 400*log10(s), shifted to mean 1000"
ARENA_RANK = "arena_rank.BradleyTerry sandwich 95%"
CASES = ("hand12", "synth6x2000")


def case(name: str) -> tuple[Votes, dict[str, Any]]:
    expected = json.loads((FIXTURES / "expected.json").read_text())["cases"][name]
    rows = json.loads((FIXTURES / expected["file"]).read_text())
    outcome = {"model_a": 1.0, "model_b": 0.0}
    battles = [Battle(row["model_a"], row["model_b"], outcome.get(row["winner"], 0.5)) for row in rows]
    return columns(battles), expected["expected"]


def column(votes: Votes, of: dict[str, Any], key: str | None = None) -> np.ndarray:
    return np.array([of[name] if key is None else of[name][key] for name in votes.models])


def arena(seed: int, models: int = 7, n: int = 400, ties: float = 0.2, weights: bool = False) -> list[Battle]:
    draw = np.random.default_rng(seed)
    strength = draw.normal(0, 0.8, models)
    battles = []
    for i in range(n):
        a, b = draw.choice(models, 2, replace=False)
        won = float(draw.random() < 1 / (1 + math.exp(strength[b] - strength[a])))
        outcome = 0.5 if draw.random() < ties else won
        weight = float(draw.choice([0.5, 1.0, 2.25])) if weights else 1.0
        battles.append(Battle(f"m{a}", f"m{b}", outcome, weight, voter=f"v{i % 23}", prompt=f"p{i % 41}"))
    return battles


def optimum(battles: list[Battle], names: tuple[str, ...]) -> np.ndarray:
    """The optimum vote by vote, in another parametrisation, by a trust-region method with its own Hessian."""
    place = {name: i for i, name in enumerate(names)}
    x = np.zeros((len(battles), len(names) - 1))
    for row, each in zip(x, battles, strict=True):
        for name, sign in ((each.model_a, 1.0), (each.model_b, -1.0)):
            if place[name]:
                row[place[name] - 1] += sign
    y, w = np.array([each.outcome for each in battles]), np.array([each.weight for each in battles])

    def chance(free: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x @ free))

    found = minimize(
        lambda f: float(w @ (np.logaddexp(0, x @ f) - y * (x @ f))),
        np.zeros(x.shape[1]),
        jac=lambda f: x.T @ (w * (chance(f) - y)),
        hess=lambda f: x.T @ (x * (w * chance(f) * (1 - chance(f)))[:, None]),
        method="trust-exact",
        options={"gtol": 1e-11},
    )
    sharp = root(lambda f: x.T @ (w * (chance(f) - y)), found.x, tol=1e-14)
    free = np.concatenate([[0.0], sharp.x])
    return 400 / math.log(10) * (free - free.mean()) + 1000


@OFFICIAL
@pytest.mark.parametrize("name", CASES)
def test_the_numbers_of_other_tools(name: str) -> None:
    votes, expected = case(name)
    theta = fit(votes.wins())
    assert compat.Fastchat(votes).ratings() == pytest.approx(column(votes, expected[FASTCHAT]), abs=1e-6)
    assert elo_scale(theta) == pytest.approx(column(votes, expected[EXACT]), abs=1e-9)
    assert elo_scale(theta) == pytest.approx(column(votes, expected[FASTCHAT]), abs=0.05)
    tight = compat.evalica_ratings(votes.wins(), tolerance=1e-12)
    assert tight == pytest.approx(column(votes, expected[EVALICA]), abs=1e-9)
    assert elo_scale(theta) == pytest.approx(column(votes, expected[ARENA_RANK], "rating"), abs=1e-4)
    error = compat.arena_rank_error(votes, theta)
    assert error**2 == pytest.approx(column(votes, expected[ARENA_RANK], "variance"), rel=1e-6)
    for k in (4, 32):
        assert elo.elo(votes, k) == pytest.approx(
            column(votes, expected[f"fastchat.compute_elo K={k}"]), abs=1e-9
        )
        assert elo.elo(votes, k) == pytest.approx(column(votes, expected[f"evalica.elo K={k}"]), abs=1e-9)


@OFFICIAL
@pytest.mark.parametrize("name", CASES)
def test_the_bootstraps_of_fastchat(name: str) -> None:
    votes, expected = case(name)
    for samples, key in (
        (compat.Fastchat(votes).bootstrap(100), FASTCHAT_ROUNDS),
        (elo.bootstrap_elo(votes, 100, seed=42), FASTCHAT_ELO),
    ):
        for tail, label in ((0.025, "q025"), (0.5, "median"), (0.975, "q975")):
            assert np.quantile(samples, tail, axis=0) == pytest.approx(
                column(votes, expected[key], label), abs=1e-6
            )


@OFFICIAL
def test_an_unbeaten_model_of_the_official_cases_is_flagged_and_the_others_are_rated() -> None:
    votes, _ = case("unbeaten_model")
    for tool in (None, "fastchat", "evalica", "arena-rank"):
        rated = rate(votes, Choices(tool=tool))  # type: ignore[arg-type]
        assert [row.model for row in rated.ratings if row.rating is None] == ["top"]
        assert [(each.code, each.models) for each in rated.warnings] == [("unbeaten", ("top",))]
        among = [each for each in rated.ratings if each.rating is not None]
        assert np.mean([each.rating for each in among]) == pytest.approx(1000)


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_that_of_another_method(seed: int) -> None:
    battles = arena(seed, weights=seed % 2 == 1)
    votes = columns(battles)
    assert elo_scale(fit(votes.wins())) == pytest.approx(optimum(battles, votes.models), abs=1e-6)
    names, wins = win_table(battles)
    assert names == votes.models
    assert wins == pytest.approx(votes.wins())


@pytest.mark.parametrize("seed", range(3))
def test_fastchat_and_evalica_are_near_the_optimum(seed: int) -> None:
    votes = columns(arena(seed))
    exact = elo_scale(fit(votes.wins()))
    assert compat.Fastchat(votes).ratings() == pytest.approx(exact, abs=0.05)
    assert compat.evalica_ratings(votes.wins()) == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_evalica_itself(seed: int) -> None:
    battles = arena(seed, weights=True)
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    given = (
        [each.model_a for each in battles],
        [each.model_b for each in battles],
        [winners[each.outcome] for each in battles],
    )
    found = evalica.bradley_terry(*given, weights=[each.weight for each in battles])
    votes = columns(battles)
    ours = compat.evalica_strengths(votes.wins())
    assert ours == pytest.approx(found.scores.reindex(list(votes.models)).to_numpy(), rel=1e-9)


def test_two_models_have_the_log_odds() -> None:
    """30 wins of 40 are odds of 3: 400 log10(3) apart, and a binomial variance of the log odds."""
    votes = columns([Battle("x", "y", 1.0)] * 30 + [Battle("y", "x", 1.0)] * 10)
    rated = rate(votes, Choices(anchor=Anchor(0.0, "y")))
    assert rated.ratings[0].rating == pytest.approx(400 * math.log10(3))
    assert rated.win[0, 1] == pytest.approx(0.75)
    covariance = intervals.covariance(votes, fit(votes.wins()))
    spread = ranks.difference_error(covariance)[0, 1]
    assert spread**2 == pytest.approx(1 / 30 + 1 / 10, rel=0.06)


def test_a_weight_of_two_is_the_vote_twice() -> None:
    battles = arena(5)
    doubled = [Battle(e.model_a, e.model_b, e.outcome, 2.0) for e in battles]
    assert fit(columns(doubled).wins()) == pytest.approx(fit(columns(battles * 2).wins()), abs=1e-12)


def test_many_extreme_tables_settle() -> None:
    """A single tie against a million wins is a finite strength; Newton from 0 must come to it."""
    wins = np.array([[0, 1e6, 3.0], [0.5, 0, 2.0], [0.5, 1e6, 0]])
    theta = fit(wins)
    games = wins + wins.T
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    assert (wins - games * chance).sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-6)
    many = fit_many(np.stack([wins, wins.T, np.ones((3, 3)) - np.eye(3)]))
    assert many[0] == pytest.approx(theta)
    assert many[1] == pytest.approx(-theta)
    assert many[2] == pytest.approx(np.zeros(3))


def test_models_without_a_finite_rating_are_told_apart() -> None:
    """top > {a, b, c} > low; x and y never met them."""
    ring = [Battle("a", "b", 1.0), Battle("b", "c", 1.0), Battle("c", "a", 1.0), Battle("a", "c", 0.5)]
    battles = [*ring, Battle("top", "a", 1.0), Battle("c", "low", 1.0), Battle("x", "y", 0.5)]
    votes = columns(battles)
    who = standing(votes.wins(), votes.models)
    names = [[votes.models[i] for i in part] for part in (who.rated, who.above, who.below, who.apart)]
    assert [sorted(part) for part in names] == [["a", "b", "c"], ["top"], ["low"], ["x", "y"]]
    with pytest.raises(NoFiniteOptimumError):
        fit(votes.wins())
    rated = rate(votes, Choices())
    assert {each.code: each.models for each in rated.warnings} == {
        "unbeaten": ("top",),
        "winless": ("low",),
        "disconnected": ("x", "y"),
    }
    assert [row.model for row in rated.ratings if row.rating is None] == ["low", "top", "x", "y"]
    chosen = rate(votes, Choices(anchor=Anchor(1500.0, "y")))
    assert [(row.model, row.rating) for row in chosen.ratings[:2]] == [("x", 1500.0), ("y", 1500.0)]
    with pytest.raises(UserError, match="anchor that has a finite rating, found 'top'"):
        rate(votes, Choices(anchor=Anchor(1500.0, "top")))


def test_nobody_is_rated_where_every_pair_is_one_sided() -> None:
    rated = rate(columns([Battle("a", "b", 1.0), Battle("b", "c", 1.0)]), Choices())
    assert [row.rating for row in rated.ratings] == [None] * 3
    assert [(each.code, each.models) for each in rated.warnings] == [("not-rated", ("a", "b", "c"))]


def test_the_anchor_has_its_value_and_no_interval() -> None:
    votes = columns(arena(3))
    free = {row.model: row for row in rate(votes, Choices()).ratings}
    for rounds in (0, 50):
        rated = rate(votes, Choices(anchor=Anchor(1200.0, "m2"), rounds=rounds))
        rows = {row.model: row for row in rated.ratings}
        assert (rows["m2"].rating, rows["m2"].ci_low, rows["m2"].ci_high) == (1200.0, 1200.0, 1200.0)
        for name, row in rows.items():
            assert row.rating - 1200.0 == pytest.approx(free[name].rating - free["m2"].rating)


def test_the_jackknife_of_a_vote_is_that_vote_left_out() -> None:
    """Leave-one-out by refitting, which the sandwich does by one step."""
    battles = arena(1, models=4, n=120)
    votes = columns(battles)
    theta = fit(votes.wins())
    moved = []
    for i in range(len(battles)):
        rest = columns(battles[:i] + battles[i + 1 :])
        at = [rest.models.index(name) for name in votes.models]
        moved.append(fit(rest.wins())[at] - theta)
    refitted = np.array(moved).T @ np.array(moved)
    assert intervals.covariance(votes, theta) == pytest.approx(refitted, rel=0.04)


@pytest.mark.parametrize(("by", "clusters"), [(("voter",), 23), (("prompt",), 41)])
def test_the_jackknife_of_a_cluster_is_that_cluster_left_out(by: tuple[str, ...], clusters: int) -> None:
    battles = arena(2, models=4)
    votes = columns(battles)
    theta = fit(votes.wins())
    moved = []
    for name in {getattr(each, by[0]) for each in battles}:
        rest = columns([each for each in battles if getattr(each, by[0]) != name])
        moved.append(fit(rest.wins())[[rest.models.index(model) for model in votes.models]] - theta)
    assert len(moved) == clusters
    refitted = np.array(moved).T @ np.array(moved) * (clusters - 1) / clusters
    found = intervals.covariance(votes, theta, by)  # type: ignore[arg-type]
    assert np.diag(found) == pytest.approx(np.diag(refitted), rel=0.05)


def test_two_way_clustering_is_the_sum_less_the_intersections() -> None:
    """Where each vote has a prompt of its own, voter and prompt together are the voter."""
    battles = [Battle(e.model_a, e.model_b, e.outcome, voter=e.voter) for e in arena(4)]
    votes = columns(battles)
    theta = fit(votes.wins())
    both = intervals.covariance(votes, theta, ("voter", "prompt"))
    assert both == pytest.approx(intervals.covariance(votes, theta, ("voter",)), abs=1e-6)


def test_the_bootstrap_spreads_as_the_sandwich_and_its_rounds_are_optima() -> None:
    votes = columns(arena(8, n=3000))
    theta = fit(votes.wins())
    rounds = bootstrap(votes, theta, 600, seed=3)
    assert rounds == pytest.approx(bootstrap(votes, theta, 600, seed=3))
    error = np.sqrt(np.diag(intervals.covariance(votes, theta)))
    assert rounds.std(axis=0) == pytest.approx(error, rel=0.15)
    assert np.abs(rounds.mean(axis=0) - theta).max() < error.max() / 3
    by_voter = bootstrap(votes, theta, 600, seed=3, cluster=votes.voter)
    clustered = np.sqrt(np.diag(intervals.covariance(votes, theta, ("voter",))))
    assert by_voter.std(axis=0) == pytest.approx(clustered, rel=0.2)


def test_a_round_without_a_finite_optimum_has_no_bound() -> None:
    """The weak model's one win is in about 63 % of resamples: its lower bound is infinite, shown as none."""
    ring = [Battle("a", "b", 1.0), Battle("b", "c", 1.0), Battle("c", "a", 1.0)] * 20
    battles = [*ring, Battle("low", "a", 1.0), *[Battle("a", "low", 1.0)] * 30]
    rows = {row.model: row for row in rate(columns(battles), Choices(rounds=200)).ratings}
    assert rows["low"].rating is not None
    assert rows["low"].ci_low is None
    assert rows["a"].ci_low is not None


def test_votes_without_a_spread_have_no_interval_of_width_nothing() -> None:
    """One tie says as much as one vote: an error of 2 in the log odds. Nothing but ties says nothing."""
    covariance = intervals.covariance(columns([Battle("a", "b", 0.5)]), np.zeros(2))
    assert ranks.difference_error(covariance)[0, 1] == pytest.approx(2.0)
    votes = columns([Battle("a", "b", 0.5)] * 5)
    for rounds in (0, 20):
        ties = rate(votes, Choices(rounds=rounds))
        assert [(row.ci_low, row.ci_high, row.rank_low, row.rank_high) for row in ties.ratings] == [
            (None, None, 1, 2)
        ] * 2
        assert ties.p is not None
        assert ties.p[0, 1] == 1.0


def test_a_voter_who_alone_joins_two_groups_is_not_left_out() -> None:
    """Without that voter there is no rating at all, so the interval is wide there, and finite."""
    left = [Battle("a", "b", float(i % 2), voter=f"l{i % 15}") for i in range(60)]
    right = [Battle("c", "d", float(i % 2), voter=f"r{i % 15}") for i in range(60)]
    bridge = [Battle("a", "c", float(i % 2), voter="bridge") for i in range(4)]
    votes = columns([*left, *right, *bridge])
    error = ranks.difference_error(intervals.covariance(votes, fit(votes.wins()), ("voter",)))
    assert error[votes.models.index("a"), votes.models.index("c")] == pytest.approx(1.0, rel=0.2)
    assert error[votes.models.index("a"), votes.models.index("b")] < 0.7


def test_ranks_and_significance_follow_the_differences() -> None:
    rating, spread = np.array([1100.0, 1090.0, 900.0]), np.full((3, 3), 10.0)
    best, worst = ranks.ranks_by_difference(rating, spread, 1.96)
    assert (best.tolist(), worst.tolist()) == ([1, 1, 3], [2, 2, 3])
    p = ranks.significance(rating, spread)
    assert p[0, 1] == p[1, 0] == pytest.approx(2 * 0.15865525393145707)
    assert p[0, 2] < 1e-20
    assert np.diag(p).tolist() == [1.0] * 3
    low, high = rating - 20, rating + 20
    assert [part.tolist() for part in ranks.ranks_by_overlap(low, high)] == [[1, 1, 3], [2, 2, 3]]


def test_elo_goes_by_the_order() -> None:
    """One win at par takes K / 2; the next is expected a little."""
    votes = columns([Battle("a", "b", 1.0), Battle("a", "b", 1.0)])
    first = 16.0
    second = 32 * (1 - 1 / (1 + 10 ** (-2 * first / 400)))
    assert elo.elo(votes, 32.0).tolist() == pytest.approx([1000 + first + second, 1000 - first - second])


def test_a_length_that_decides_votes_is_controlled_for() -> None:
    """Equal models, one of which is always longer; voters go by length alone half of the time."""
    draw = np.random.default_rng(0)
    battles, sides = [], []
    for _ in range(6000):
        a, b = draw.permutation(["long", "short", "mixed"])[:2]
        tokens = [draw.uniform(20, 60) + 25 * {"long": 1, "short": 0, "mixed": 0.5}[name] for name in (a, b)]
        battles.append(Battle(a, b, float(draw.random() < 1 / (1 + math.exp((tokens[1] - tokens[0]) / 30)))))
        sides.append([tokens])
    votes = columns(battles)
    plain = {row.model: row.rating for row in rate(votes, Choices()).ratings}
    fair = {row.model: row for row in controlled_rate(votes, np.array(sides), Choices()).ratings}
    assert plain["long"] - plain["short"] > 80
    assert abs(fair["long"].rating - fair["short"].rating) < 35
    assert fair["long"].ci_low < 1000 < fair["long"].ci_high
    shrunk = fastchat_controlled(votes, standardised(np.array(sides)))
    exact = POINTS * fit_controlled(votes, standardised(np.array(sides)))[0][:3] + 1000
    assert shrunk == pytest.approx(exact, abs=2.0)
