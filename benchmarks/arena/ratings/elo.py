"""Online Elo: one pass over the battles in the order of their times; later battles count more.

Facts of FastChat's rating_systems.py, with which evalica agrees: everyone begins at 1000, K is 4, and the
winner takes K (outcome - expected) from the loser.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.arena.ratings.aggregate import Floats, Votes
from benchmarks.arena.ratings.bradley_terry import POINTS

START: Final = 1000.0
#: FastChat's and evalica's default.
K: Final = 4.0
#: Indices that are drawn at a time, rounded to whole battles: bounds the memory.
CELLS: Final = 4_000_000


def elo(votes: Votes, k: float = K) -> Floats:
    """Return the (m,) ratings after the last vote; a vote of weight w moves w times as much."""
    rating = [START] * len(votes.models)
    rows = zip(votes.a.tolist(), votes.b.tolist(), votes.outcome.tolist(), votes.weight.tolist(), strict=True)
    for a, b, outcome, weight in rows:
        move = k * weight * (outcome - 1.0 / (1.0 + 10.0 ** ((rating[b] - rating[a]) / 400.0)))
        rating[a] += move
        rating[b] -= move
    return np.array(rating)


def bootstrap_elo(votes: Votes, rounds: int, seed: int, k: float = K) -> Floats:
    """Return (rounds, m) ratings over resampled votes, in the order in which they were drawn.

    The numbers drawn are FastChat's (``np.random.randint`` after ``np.random.seed(seed)``), from a generator
    of its own.
    """
    draw = np.random.RandomState(seed)
    n, every = len(votes), np.arange(rounds)
    rating = np.zeros((rounds, len(votes.models)))
    at_once = max(1, CELLS // rounds)
    for start in range(0, n, at_once):
        for chosen in draw.randint(0, n, (min(at_once, n - start), rounds)):
            a, b = votes.a[chosen], votes.b[chosen]
            chance = 1.0 / (1.0 + np.exp((rating[every, b] - rating[every, a]) / POINTS))
            move = k * votes.weight[chosen] * (votes.outcome[chosen] - chance)
            rating[every, a] += move
            rating[every, b] -= move
    return rating + START
