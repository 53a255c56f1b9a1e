"""Bootstrap of Bradley-Terry ratings: votes, voters or prompts drawn again, all rounds solved at once.

Votes with the same models, outcome and weight are one row with a count, so a round is one multinomial draw
over rows and its cost does not grow with the number of votes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes
from benchmarks.arena.ratings.bradley_terry import fit_many
from benchmarks.arena.ratings.graph import safe_pairs, standing

#: Cells that are drawn at a time: bounds the memory.
CELLS: Final = 4_000_000
#: Rounds that are solved at a time; more do not fit the processor's cache.
ROUNDS: Final = 64


def bootstrap(votes: Votes, theta: Floats, rounds: int, seed: int, cluster: Indices | None = None) -> Floats:
    """Return (rounds, m) strengths from resampled votes; ``theta`` (m,) is the fit to all of them.

    ``cluster`` (n,) resamples clusters whole. In a round in which a model has no finite strength it is
    infinite, or NaN if it cannot be compared; the others are shifted so that their mean is as in ``theta``.
    """
    m = len(theta)
    counts, table = _rows(votes) if cluster is None else _clusters(votes, cluster)
    whole = np.asarray(counts @ table).reshape(m, m)
    safe = safe_pairs(whole)
    draw = np.random.default_rng(seed)
    samples = [np.empty((0, m))]
    for drawn in _draws(draw, counts, rounds):
        samples.extend(
            _solve((drawn[at : at + ROUNDS] @ table).reshape(-1, m, m), theta, safe, votes.models)
            for at in range(0, len(drawn), ROUNDS)
        )
    return np.concatenate(samples)


def _rows(votes: Votes) -> tuple[Floats, csr_array]:
    """Return the count of each distinct vote (r,), and what one of it adds to the table of wins, (r, m * m).

    Whichever model was on the left is the same vote.
    """
    turned = votes.a > votes.b
    a, b = np.where(turned, votes.b, votes.a), np.where(turned, votes.a, votes.b)
    outcome = np.where(turned, 1.0 - votes.outcome, votes.outcome)
    _, kind_of_outcome = np.unique(outcome, return_inverse=True)
    _, kind_of_weight = np.unique(votes.weight, return_inverse=True)
    m, kinds = len(votes.models), int(kind_of_outcome.max()) + 1
    key = ((kind_of_weight * kinds + kind_of_outcome) * m + a) * m + b
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    a, b, outcome, weight = a[first], b[first], outcome[first], votes.weight[first]
    return counts.astype(np.float64), _adds(np.arange(len(first)), a, b, outcome, weight, m)


def _clusters(votes: Votes, cluster: Indices) -> tuple[Floats, csr_array]:
    """Return a one for each cluster (c,), and what it adds to the table of wins, (c, m * m)."""
    table = _adds(cluster, votes.a, votes.b, votes.outcome, votes.weight, len(votes.models))
    return np.ones(table.shape[0]), table


def _adds(row: Indices, a: Indices, b: Indices, outcome: Floats, weight: Floats, m: int) -> csr_array:
    value = np.concatenate([weight * outcome, weight * (1.0 - outcome)])
    place = np.concatenate([a * m + b, b * m + a])
    made = csr_array((value, (np.concatenate([row, row]), place)), shape=(int(row.max()) + 1, m * m))
    made.eliminate_zeros()
    return made


def _draws(draw: np.random.Generator, counts: Floats, rounds: int) -> Iterator[Floats]:
    total = int(counts.sum())
    at_once = max(1, min(rounds, CELLS // len(counts)))
    for start in range(0, rounds, at_once):
        size = min(at_once, rounds - start)
        yield draw.multinomial(total, counts / counts.sum(), size=size).astype(np.float64)


def _solve(wins: Floats, theta: Floats, safe: Indices, names: tuple[str, ...]) -> Floats:
    rounds, m = wins.shape[:2]
    flat = wins.reshape(rounds, m * m)
    sure = (flat[:, safe] > 0).all(axis=1) if len(safe) else np.zeros(rounds, dtype=bool)
    out = np.empty((rounds, m))
    if sure.any():
        out[sure] = fit_many(wins[sure], theta) + theta.mean()
    for i in np.flatnonzero(~sure):
        out[i] = _lone(wins[i], theta, names)
    return out


def _lone(wins: Floats, theta: Floats, names: tuple[str, ...]) -> Floats:
    """Solve one round in which some models may have no finite strength."""
    who = standing(wins, names)
    out = np.full(len(theta), np.nan)
    out[who.above], out[who.below] = np.inf, -np.inf
    if len(who.rated) > 1:
        inner = fit_many(wins[np.ix_(who.rated, who.rated)][None], theta[who.rated])[0]
        out[who.rated] = inner - inner.mean() + theta[who.rated].mean()
    return out
