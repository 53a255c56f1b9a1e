"""Which pair of models to ask about next: the one whose vote narrows the intervals most.

The votes so far give strengths and their covariance; a vote on models i and j adds its Fisher information
p(1-p) to the direction between them, which lowers every model's variance by a known amount (the formula of
Sherman and Morrison). The pair that lowers the widest intervals most is asked. Models that are far apart say
little about each other, so they seldom meet; that is where votes are saved. Where all models are alike every
pair says the same, and no choice can beat a random one.

``python -m benchmarks.arena.choice`` simulates both and prints how many votes each needs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

#: Standard deviation of strengths before any vote, in natural log odds (about 500 on the Elo scale). It keeps
#: the choice defined for models without a defeat; no rating that is shown uses it.
PRIOR: Final = 3.0
#: Power of the norm over the models' interval widths: 1 would be their mean, infinity the widest alone.
NORM: Final = 8
#: Newton's step in log odds at most, and when it is small enough for a choice.
LONGEST_STEP: Final = 2.0
TOLERANCE: Final = 1e-6


def strengths(wins: Matrix, start: Vector | None = None) -> Vector:
    """Return log odds of K models, mean 0; ``wins[i, j]`` is how often i beat j, a tie half to each."""
    counts = wins + wins.T
    theta: Vector = np.zeros(len(wins)) if start is None else start
    for _ in range(100):
        p = _sigmoid(theta[:, None] - theta[None, :])
        slope = (wins - counts * p).sum(axis=1) - theta / PRIOR**2
        step = np.linalg.solve(_information(counts * p * (1 - p)) + np.eye(len(wins)) / PRIOR**2, slope)
        theta = theta + step * min(1.0, LONGEST_STEP / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < TOLERANCE:
            break
    centred: Vector = theta - theta.mean()
    return centred


def covariance(theta: Vector, counts: Matrix) -> Matrix:
    """Return the covariance of mean-centred strengths after ``counts[i, j]`` votes on i and j (symmetric)."""
    p = _sigmoid(theta[:, None] - theta[None, :])
    inverse = np.linalg.inv(_information(counts * p * (1 - p)) + np.eye(len(theta)) / PRIOR**2)
    half: Matrix = inverse - inverse.mean(axis=0, keepdims=True)
    centred: Matrix = half - half.mean(axis=1, keepdims=True)
    return centred


def gains(theta: Vector, counts: Matrix) -> Matrix:
    """Return how much one more vote on each pair of K models narrows the intervals: K by K, symmetric.

    The diagonal is 0, all else positive. Votes that were asked for and have not come yet belong to
    ``counts``, so that many voters at once are not all sent the same pair.
    """
    spread = covariance(theta, counts)
    p = _sigmoid(theta[:, None] - theta[None, :])
    weight = p * (1 - p)
    variances = np.diag(spread).copy()
    moved = spread[:, :, None] - spread[:, None, :]  # model, i, j: covariance with the difference of i and j
    between = variances[:, None] + variances[None, :] - 2 * spread
    lowered = weight * moved**2 / (1 + weight * between)
    widest = np.sqrt(variances.max())
    importance = (np.sqrt(variances) / widest) ** (NORM - 2)  # slope of the norm by a variance
    found: Matrix = np.einsum("m,mij->ij", importance, lowered)
    np.fill_diagonal(found, 0.0)
    return found


def ranked_pairs(found: Matrix, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return all pairs (i < j), those that narrow most first; equal ones in random order."""
    rows, columns = np.triu_indices(len(found), 1)
    shuffled = rng.permutation(len(rows))
    order = shuffled[np.argsort(-found[rows, columns][shuffled], kind="stable")]
    return [(int(rows[k]), int(columns[k])) for k in order]


def _information(weights: Matrix) -> Matrix:
    """Return the Fisher information of the strengths: the Laplacian of the graph with these weights."""
    laplacian: Matrix = np.diag(weights.sum(axis=1)) - weights
    return laplacian


def _sigmoid(x: Matrix) -> Matrix:
    found: Matrix = 0.5 * (1 + np.tanh(0.5 * x))
    return found


if __name__ == "__main__":
    from benchmarks.arena.choice_simulation import main

    main()
