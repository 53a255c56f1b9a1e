"""Sandwich intervals: how far ratings would move with other voters and other prompts.

Votes of one voter, and votes on one prompt, go together, so that the likelihood's own curvature is too sure
of itself. The sandwich takes the spread of the score over clusters as it is found. With few clusters it is
too narrow as it stands; here each cluster is left out in turn, by one Newton step (the jackknife, "CR3").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from scipy import stats
from scipy.sparse import csr_array
from scipy.special import expit

from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes, together
from benchmarks.arena.ratings.bradley_terry import laplacian

Cluster = Literal["voter", "prompt"]
LEVEL: Final = 0.95
#: Above this number of clusters leaving out one moves nothing, and the jackknife is the plain sandwich.
FEW: Final = 2000
#: With fewer clusters than this there is no interval worth the name.
LEAST: Final = 10
#: What is left of the information without a cluster must be at least this share, or there is nothing to
#: invert.
SMALLEST: Final = 1e-3


def clusterings(votes: Votes) -> tuple[Cluster, ...]:
    """Return by which of voter and prompt the votes can be clustered: it repeats, and takes ten values."""
    found: list[Cluster] = []
    for name, of in (("voter", votes.voter), ("prompt", votes.prompt)):
        count = int(of.max(initial=-1)) + 1
        if LEAST <= count < len(votes):
            found.append(name)  # type: ignore[arg-type]
    return tuple(found)


def covariance(votes: Votes, theta: Floats, by: Sequence[Cluster] = ()) -> Floats:
    """Return the (m, m) covariance of strengths of mean 0 that were fitted to ``votes``.

    ``by`` nothing takes each vote by itself; voter and prompt together are the two-way clustering of
    Cameron, Gelbach and Miller (2011): the sum of both less that of their intersections.
    """
    of: dict[str, Indices] = {"voter": votes.voter, "prompt": votes.prompt}
    if not by:
        return _each_alone(votes, theta)
    total = sum((_one_way(votes, theta, of[name]) for name in by), np.zeros((len(theta), len(theta))))
    if len(by) == 2:
        total = total - _one_way(votes, theta, together(of[by[0]], of[by[1]]))
        values, vectors = np.linalg.eigh(total)
        total = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return np.asarray(total)


def quantile(votes: Votes, by: Sequence[Cluster]) -> float:
    """Return the two-sided quantile: Student's t, its degrees of freedom the fewest clusters less 1."""
    of: dict[str, Indices] = {"voter": votes.voter, "prompt": votes.prompt}
    fewest = min((int(of[name].max()) + 1 for name in by), default=len(votes))
    return float(stats.t.ppf(0.5 + LEVEL / 2.0, max(fewest - 1, 1)))


def normal_quantile() -> float:
    """Return the two-sided quantile of the normal distribution."""
    return float(stats.norm.ppf(0.5 + LEVEL / 2.0))


def _parts(votes: Votes, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each vote's score and curvature (n,), and the inverse (m, m) of the whole information."""
    chance = expit(theta[votes.a] - theta[votes.b])
    curved = votes.weight * chance * (1.0 - chance)
    between = votes.summed(curved)
    return votes.weight * (votes.outcome - chance), curved, _inverse(laplacian(between + between.T))


def _each_alone(votes: Votes, theta: Floats) -> Floats:
    """Leave out each vote in turn; the information less one vote is inverted by Sherman and Morrison.

    Of a vote that alone holds models together the fit leaves no residual, so it has the variance of the
    model.
    """
    score, curved, inverse = _parts(votes, theta)
    own = np.diag(inverse)
    leverage = curved * (own[votes.a] + own[votes.b] - 2.0 * inverse[votes.a, votes.b])
    sound = leverage < 1.0 - SMALLEST
    spread = np.where(sound, (score / np.where(sound, 1.0 - leverage, 1.0)) ** 2, curved)
    between = votes.summed(spread)
    return np.asarray(inverse @ laplacian(between + between.T) @ inverse)


def _one_way(votes: Votes, theta: Floats, cluster: Indices) -> Floats:
    score, curved, inverse = _parts(votes, theta)
    count, m = int(cluster.max()) + 1, len(theta)
    rows, places = np.concatenate([cluster, cluster]), np.concatenate([votes.a, votes.b])
    scores = csr_array((np.concatenate([score, -score]), (rows, places)), shape=(count, m))
    if count > FEW:
        return np.asarray(inverse @ (scores.T @ scores).toarray() @ inverse * (count / (count - 1.0)))
    between = np.zeros((count, m * m))
    np.add.at(between, (cluster, votes.a * m + votes.b), curved)
    own = between.reshape(count, m, m)
    return _left_out(laplacian(own + own.transpose(0, 2, 1)), inverse, scores.toarray())


def _left_out(own: Floats, inverse: Floats, scores: Floats) -> Floats:
    """Return the (m, m) jackknife covariance from how strengths move when each of the clusters is left out.

    ``own`` (clusters, m, m) is the information of each. (H - H_c)^-1 u_c = (1 - H^-1 H_c)^-1 H^-1 u_c. Where
    the models fall apart without a cluster there is no such step: it has the variance of the model.
    """
    kept = np.eye(inverse.shape[0]) - inverse @ own
    # The trace of H^-1 H_c bounds its eigenvalues, so that only large clusters need be looked at.
    sound = np.einsum("ij,cji->c", inverse, own) < 1.0 - SMALLEST
    large = np.flatnonzero(~sound)
    sound[large] = np.linalg.svd(kept[large], compute_uv=False)[:, -1] > SMALLEST
    moved = np.linalg.solve(kept[sound], (scores[sound] @ inverse)[:, :, None])[:, :, 0]
    shrunk = (len(own) - 1.0) / len(own)
    return np.asarray(shrunk * moved.T @ moved + inverse @ own[~sound].sum(axis=0) @ inverse)


def _inverse(whole: Floats) -> Floats:
    """Return the inverse of an (m, m) Laplacian on the space of mean 0."""
    m = len(whole)
    ones = np.full((m, m), np.trace(whole) / m / m)
    return np.asarray(np.linalg.inv(whole + ones) - 1.0 / (ones[0, 0] * m * m))
