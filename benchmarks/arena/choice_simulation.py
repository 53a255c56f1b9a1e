"""How many votes active choice saves: voters with known strengths, asked in both ways.

Every simulated arena is asked ``budget`` votes with pairs drawn evenly. Then it is asked afresh by active
choice, until its intervals are as narrow. Printed are the votes needed as a share of the budget.
"""

from __future__ import annotations

import sys
from typing import Final, Literal, get_args

import numpy as np

from benchmarks.arena.choice import Matrix, Vector, gains, ranked_pairs, strengths

#: Points of the Elo scale for one unit of log odds.
ELO: Final = 400 / np.log(10)
#: Interval that is compared: of the model with the widest one, or the mean over all models.
Width = Literal["widest", "mean"]
MODELS: Final = (3, 8, 16)
SPREADS: Final = (0, 100, 200, 300, 400)
VOTES_PER_MODEL: Final = 60
ARENAS: Final = 8


def width(truth: Vector, counts: Matrix, of: Width) -> float:
    """Return the width of the 95 % intervals that ``counts[i, j]`` votes allow, in Elo points.

    It comes from the Fisher information at the true strengths, without any prior; it is infinite as long as
    some models have not met, directly or over others.
    """
    p = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    weights = counts * p * (1 - p)
    values, vectors = np.linalg.eigh(np.diag(weights.sum(axis=1)) - weights)
    if values[1] < 1e-9:  # the first is 0: the common level of all strengths
        return float("inf")
    deviations = np.sqrt((vectors[:, 1:] ** 2 / values[1:]).sum(axis=1))
    return float(2 * 1.96 * ELO * (deviations.max() if of == "widest" else deviations.mean()))


def vote(truth: Vector, pair: tuple[int, int], wins: Matrix, rng: np.random.Generator) -> None:
    """Add one vote on a pair: the stronger wins with the probability of Bradley and Terry."""
    first, second = pair
    won = rng.random() < 1 / (1 + np.exp(truth[second] - truth[first]))
    wins[pair if won else (second, first)] += 1


def asked_evenly(truth: Vector, votes: int, rng: np.random.Generator) -> Matrix:
    """Return the wins after ``votes`` on pairs that come equally often, in random order."""
    wins = np.zeros((len(truth), len(truth)))
    pairs = ranked_pairs(np.zeros_like(wins), rng)
    for k in range(votes):
        vote(truth, pairs[k % len(pairs)], wins, rng)
    return wins


def asked_actively(truth: Vector, goal: float, of: Width, most: int, rng: np.random.Generator) -> int:
    """Return after how many votes active choice has intervals of width ``goal``; at most ``most``."""
    wins = np.zeros((len(truth), len(truth)))
    theta = strengths(wins)
    for votes in range(1, most + 1):
        vote(truth, ranked_pairs(gains(theta, wins + wins.T), rng)[0], wins, rng)
        if width(truth, wins + wins.T, of) <= goal:
            return votes
        theta = strengths(wins, theta)
    return most


def share(models: int, spread: float, of: Width, arenas: int = ARENAS, seed: int = 0) -> float:
    """Return the votes of active choice as a share of those of even choice, over several arenas.

    ``spread`` is the standard deviation of the true strengths, in Elo points.
    """
    rng = np.random.default_rng([seed, models, int(spread)])
    budget, needed = VOTES_PER_MODEL * models, 0
    for _ in range(arenas):
        truth = rng.normal(0, spread / ELO, models)
        counts = asked_evenly(truth, budget, rng)
        goal = width(truth, counts + counts.T, of)
        needed += asked_actively(truth, goal, of, 3 * budget, rng)
    return needed / (budget * arenas)


def main() -> None:
    """Print the share for several numbers of models and spreads of their strengths."""
    write = sys.stdout.write
    write(f"votes of active choice for the width that even choice has after {VOTES_PER_MODEL} a model;\n")
    write(f"columns: standard deviation of the strengths in Elo points; {ARENAS} arenas a cell\n\n")
    write(f"{'':18}" + "".join(f"{spread:>8}" for spread in SPREADS) + "\n")
    for of in get_args(Width):
        for models in MODELS:
            write(f"{of:<8}{models:>3} models ")
            for spread in SPREADS:
                write(f"{share(models, spread, of):8.0%}")
                sys.stdout.flush()
            write("\n")
