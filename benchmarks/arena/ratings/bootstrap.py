"""Bootstrap of Bradley-Terry ratings: votes, voters or prompts drawn again, many rounds solved at once.

Votes with the same models, outcome and weight are one row with a count, so a round is one multinomial draw
over rows, and its cost does not grow with the number of votes. The resampled optimum lies near that of all
votes, so that the information there serves every round (a chord instead of Newton's tangent); where that
does not settle, and where a model may have no finite strength, the round is solved by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import expit

from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes
from benchmarks.arena.ratings.bradley_terry import fit_many, laplacian
from benchmarks.arena.ratings.graph import safe_pairs, standing

#: Rounds that are drawn and solved together; more do not fit the processor's cache.
ROUNDS: Final = 50
#: Cells that are drawn together at most: bounds the memory.
CELLS: Final = 4_000_000
#: Threads; the result does not depend on their number.
THREADS: Final = 4
#: A step of the chord shorter than this, in units of theta, ends it: 2e-6 points.
SETTLED: Final = 1e-8
#: Steps of the chord; with fewer votes than it needs, Newton takes over.
STEPS: Final = 12


def bootstrap(votes: Votes, theta: Floats, rounds: int, seed: int, cluster: Indices | None = None) -> Floats:
    """Return (rounds, m) strengths from resampled votes; ``theta`` (m,) is the fit to all of them.

    ``cluster`` (n,) resamples clusters whole. In a round in which a model has no finite strength it is
    infinite, or NaN if it cannot be compared; the others are shifted so that their mean is as in ``theta``.
    """
    m = len(theta)
    counts, table = _rows(votes) if cluster is None else _clusters(votes, cluster)
    whole = np.asarray(counts @ table).reshape(m, m)
    solve = _solver(whole, theta, votes.models)
    share, total = counts / counts.sum(), int(counts.sum())
    at_once = max(1, min(ROUNDS, CELLS // len(counts)))
    sizes = [min(at_once, rounds - start) for start in range(0, rounds, at_once)]
    seeds = np.random.SeedSequence(seed).spawn(len(sizes))

    def some(size: int, own: np.random.SeedSequence) -> Floats:
        drawn = np.random.default_rng(own).multinomial(total, share, size=size)
        return solve(drawn.astype(np.float64) @ table)

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(some, sizes, seeds)))


def _solver(whole: Floats, theta: Floats, names: tuple[str, ...]) -> Callable[[Floats], Floats]:
    """Return what solves (k, m * m) tables of wins, given the (m, m) table of all votes and its optimum."""
    m = len(theta)
    mean = theta.mean()
    i, j = np.nonzero(np.triu(whole + whole.T, 1))
    won, lost = i * m + j, j * m + i
    every = np.arange(len(i))
    signs = np.repeat([1.0, -1.0], len(i))
    away = csr_array((signs, (np.concatenate([every, every]), np.concatenate([i, j]))), shape=(len(i), m))
    chance = expit(theta[:, None] - theta[None, :])
    ones = np.full((m, m), 1.0 / m)
    information = laplacian((whole + whole.T) * chance * (1.0 - chance))
    inverse = np.linalg.inv(information + ones * np.trace(information)) - ones / np.trace(information)
    safe = safe_pairs(whole)

    def chord(wins: Floats) -> Floats:
        """Return strengths of mean 0, NaN where they do not settle."""
        first, games = wins[:, won], wins[:, won] + wins[:, lost]
        at = np.broadcast_to(theta - mean, (len(wins), m)).copy()
        for _ in range(STEPS):
            # Sparse, so that no threads of the linear algebra's own stand in the way of ours.
            step = ((first - games * expit(at[:, i] - at[:, j])) @ away) @ inverse
            at += step
            moved = np.abs(step).max(axis=1)
            if (moved < SETTLED).all():
                return at
        at[~(moved < SETTLED)] = np.nan
        return at

    def solve(wins: Floats) -> Floats:
        out = np.empty((len(wins), m))
        sure = (wins[:, safe] > 0).all(axis=1) if len(safe) else np.zeros(len(wins), dtype=bool)
        out[sure] = chord(wins[sure]) if sure.any() else 0.0
        slow = sure & np.isnan(out).any(axis=1)
        if slow.any():
            out[slow] = fit_many(wins[slow].reshape(-1, m, m), theta)
        out[sure] += mean
        for each in np.flatnonzero(~sure):
            out[each] = _lone(wins[each].reshape(m, m), theta, names)
        return out

    return solve


def _rows(votes: Votes) -> tuple[Floats, csr_array]:
    """Return the count of each distinct vote (r,), and what one of it adds to the table of wins, (r, m * m).

    Whichever model was on the left is the same vote.
    """
    turned = votes.a > votes.b
    a, b = np.where(turned, votes.b, votes.a), np.where(turned, votes.a, votes.b)
    outcome = np.where(turned, 1.0 - votes.outcome, votes.outcome)
    kind_of_outcome, outcomes = pd.factorize(outcome)
    kind_of_weight, weights = pd.factorize(votes.weight)
    m, kinds = len(votes.models), len(outcomes)
    rows, keys = pd.factorize(((kind_of_weight * kinds + kind_of_outcome) * m + a) * m + b, sort=True)
    pair, kind = keys % (m * m), keys // (m * m)
    which, outcome, weight = np.arange(len(keys)), outcomes[kind % kinds], weights[kind // kinds]
    return np.bincount(rows).astype(np.float64), _adds(which, pair // m, pair % m, outcome, weight, m)


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


def _lone(wins: Floats, theta: Floats, names: tuple[str, ...]) -> Floats:
    """Solve one round in which some models may have no finite strength."""
    who = standing(wins, names)
    out = np.full(len(theta), np.nan)
    out[who.above], out[who.below] = np.inf, -np.inf
    if len(who.rated) > 1:
        inner = fit_many(wins[np.ix_(who.rated, who.rated)][None], theta[who.rated])[0]
        out[who.rated] = inner - inner.mean() + theta[who.rated].mean()
    return out
