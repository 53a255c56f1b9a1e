"""How fast ratings are: ``python -m benchmarks.arena.speed``, a million battles of fifty models by default.

Two comparisons, in one run and on battles in memory. A bootstrap round of ours is held against FastChat's
way: scipy's L-BFGS-B from 0 on the distinct rows (rating_systems.py, ``fit_bt``, ``compute_bootstrap_bt``;
our code), once in one process and once, as FastChat does it, with every round sent to a pool of a process
for each core. The point estimate is held against evalica's, if that is installed (group ``test``).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings.aggregate import Floats, Votes, columns, win_table
from benchmarks.arena.ratings.bootstrap import bootstrap
from benchmarks.arena.ratings.bradley_terry import fit

#: Rounds of FastChat's way in one process; they are all alike.
ROUNDS_ALONE: Final = 50

Result = TypeVar("Result")


def simulated(battles: int, models: int, seed: int) -> list[Battle]:
    """Return battles of models whose strengths are normal; a tenth are ties."""
    draw = np.random.default_rng(seed)
    strength = draw.normal(0.0, 1.0, models)
    a = draw.integers(0, models, battles)
    b = (a + draw.integers(1, models, battles)) % models
    won = draw.random(battles) < expit(strength[a] - strength[b])
    outcome = np.where(draw.random(battles) < 0.1, 0.5, won)
    names = [f"model-{i:02d}" for i in range(models)]
    rows = zip(a.tolist(), b.tolist(), outcome.tolist(), strict=True)
    return [Battle(names[i], names[j], result) for i, j, result in rows]


class FastchatRound:
    """A round as FastChat does it, for a pool of processes."""

    def __init__(self, votes: Votes) -> None:
        m = len(votes.models)
        level = (2 * votes.outcome).astype(np.int64)
        key, self.counts = np.unique((votes.a * m + votes.b) * 3 + level, return_counts=True)
        self._m, self._outcome = m, (key % 3) / 2.0
        self._pair = np.stack([key // 3 // m, key // 3 % m], axis=1).astype(np.int32)

    def __call__(self, weight: Floats) -> Floats:
        """Return the (m,) strengths, in units of a factor of ten, of weights of the rows."""
        start = np.zeros(self._m)
        done = minimize(
            self._loss, start, (weight,), "L-BFGS-B", jac=True, options={"maxiter": 100, "gtol": 1e-6}
        )
        return np.asarray(done.x)

    def draws(self, rounds: int) -> list[Floats]:
        """Draw the weights of some rounds."""
        total = int(self.counts.sum())
        drawn = np.random.default_rng(0).multinomial(total, self.counts / total, size=rounds)
        return list(drawn / total)

    def _loss(self, rating: Floats, weight: Floats) -> tuple[float, Floats]:
        pair, slope = self._pair, np.log(10.0)
        chance = expit(slope * (rating[pair[:, 0]] - rating[pair[:, 1]]))
        likelihood = np.log(chance) * self._outcome + np.log(1.0 - chance) * (1.0 - self._outcome)
        gradient = np.zeros(self._m)
        pull = slope * (chance - self._outcome) * weight
        np.add.at(gradient, pair, pull[:, None] * np.array([1.0, -1.0]))
        return -float((likelihood * weight).sum()), gradient


def pooled(one: FastchatRound, rounds: int) -> list[Floats]:
    """Do rounds in a pool of processes."""
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        return list(pool.imap_unordered(one, one.draws(rounds)))


def best(times: int, work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the least seconds of several runs, and the last result."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--battles", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    battles = simulated(chosen.battles, chosen.models, seed=0)
    print(f"{chosen.battles} battles, {chosen.models} models, {chosen.rounds} rounds")

    votes = columns(battles)
    theta = fit(votes.wins())
    ours, _ = best(1, lambda: bootstrap(votes, theta, chosen.rounds, seed=0))
    ours /= chosen.rounds
    one = FastchatRound(votes)
    alone, _ = best(1, lambda: [one(weight) for weight in one.draws(ROUNDS_ALONE)])
    alone /= ROUNDS_ALONE
    pool, _ = best(1, lambda: pooled(one, chosen.rounds))
    pool /= chosen.rounds
    print(f"bootstrap, a round: ours {1e3 * ours:.2f} ms")
    for name, theirs in ((f"a pool of {os.cpu_count()} processes", pool), ("one process", alone)):
        print(f"  FastChat's way, {name}: {1e3 * theirs:.2f} ms; ours is {theirs / ours:.1f} times as fast")
    point, strengths = best(chosen.repeats, lambda: fit(win_table(battles)[1]))
    print(f"point estimate: ours {point:.3f} s")
    if importlib.util.find_spec("evalica") is None:
        print("evalica is not installed: no comparison")
        return
    evalica: Any = importlib.import_module("evalica")
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}

    def lists() -> tuple[list[str], list[str], list[Any]]:
        return (
            [each.model_a for each in battles],
            [each.model_b for each in battles],
            [winners[each.outcome] for each in battles],
        )

    whole, result = best(chosen.repeats, lambda: evalica.bradley_terry(*lists()))
    ready = lists()
    bare, _ = best(chosen.repeats, lambda: evalica.bradley_terry(*ready))
    print(f"point estimate: evalica {whole:.3f} s from the same battles, {bare:.3f} s from its own lists: "
          f"ours is {whole / point:.2f} and {bare / point:.2f} times as fast")  # fmt: skip
    names = win_table(battles)[0]
    apart = np.log(result.scores.reindex(list(names)).to_numpy()) - strengths
    print(
        f"largest difference of the two: {400 / np.log(10) * np.abs(apart - apart.mean()).max():.1e} points"
    )


if __name__ == "__main__":
    main()
