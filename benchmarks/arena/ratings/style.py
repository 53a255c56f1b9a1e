"""Ratings at equal style: what a side's length, or any other feature, does to votes is taken out.

The logit gets a term for each feature: the difference of the two sides over their sum and one, in standard
deviations over all votes, as LMArena's style control has it (FastChat rating_systems.py,
``preprocess_for_style``).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, hstack
from scipy.special import expit, log_expit

from benchmarks.arena.ratings import compat, intervals, spread
from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes, sums
from benchmarks.arena.ratings.bradley_terry import LIMIT, NOISE, POINTS, TOLERANCE
from benchmarks.arena.ratings.estimate import assemble, connected
from benchmarks.arena.ratings.results import Choices, Rated
from benchmarks.arena.ratings.spread import Found, Scale
from lumina_eval.errors import UserError

#: FastChat's penalty on ratings and coefficients (``fit_contextual_bt``).
FASTCHAT_PENALTY: Final = 0.5


def standardised(sides: Floats) -> Floats:
    """Return (n, f) differences in standard deviations, from (n, f, 2) values of both sides.

    Raises UserError for a feature in which the sides never differ.
    """
    first, second = sides[..., 0], sides[..., 1]
    total = first + second + 1.0
    if (total <= 0).any():
        raise UserError("expected features that are not negative, found others; fix: take another --control")
    difference = (first - second) / total
    width = difference.std(axis=0)
    if (width == 0).any():
        raise UserError("expected a feature in which sides differ, found none; fix: leave that --control out")
    return np.asarray((difference - difference.mean(axis=0)) / width)


def controlled_rate(votes: Votes, sides: Floats, choices: Choices) -> Rated:
    """Rate the models at equal features, from (n, f, 2) values of both sides of each vote.

    Raises UserError as :func:`benchmarks.arena.ratings.estimate.rate`, and where a bootstrap is asked for.
    """
    if choices.rounds:
        raise UserError("expected no --bootstrap with --control, found one; fix: take the sandwich")
    features = standardised(sides)
    inner, who, fixed, kept = connected(votes, choices)
    if not len(who.rated):
        return assemble(votes, who, None)
    value = None if choices.anchor is None else choices.anchor.value
    if choices.tool == "fastchat":
        point = fastchat_controlled(inner, features[kept])
        found = spread.bare(point, Scale(point, value, fixed))
    else:
        found = _fitted(inner, features[kept], choices, value, fixed)
    return assemble(votes, who, found)


def fastchat_controlled(votes: Votes, features: Floats) -> Floats:
    """Return FastChat's (m,) ratings of ``compute_style_control``, which shrinks them by its penalty."""
    m, slope = len(votes.models), math.log(10.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        rating = parameters[:m]
        logit = slope * (rating[votes.a] - rating[votes.b]) + features @ parameters[m:]
        likelihood = votes.outcome * log_expit(logit) + (1.0 - votes.outcome) * log_expit(-logit)
        pull = expit(logit) - votes.outcome
        gradient = FASTCHAT_PENALTY * parameters
        gradient[:m] += slope * (sums(votes.a, pull, m) - sums(votes.b, pull, m))
        gradient[m:] += features.T @ pull
        return -float(likelihood.sum()) + FASTCHAT_PENALTY / 2.0 * float(parameters @ parameters), gradient

    start = np.zeros(m + features.shape[1])
    done = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100, "gtol": 1e-6})
    return compat.fastchat_scale(done.x[:m], votes.models)


def fit_controlled(votes: Votes, features: Floats) -> tuple[Floats, csr_array, Floats]:
    """Return the (m + f,) optimum without a penalty, the (n, m + f) design and the inverse information.

    The strengths have mean 0. Raises UserError if votes and features leave no finite optimum.
    """
    n, m = len(votes), len(votes.models)
    every = np.arange(n)
    one = np.ones(n)
    places = (np.concatenate([every, every]), np.concatenate([votes.a, votes.b]))
    sides = csr_array((np.concatenate([one, -one]), places), shape=(n, m))
    design = csr_array(hstack([sides, csr_array(features)]))
    beta, before = np.zeros(design.shape[1]), math.inf
    for _ in range(LIMIT):
        chance = expit(design @ beta)
        pull = design.T @ (votes.weight * (votes.outcome - chance))
        inverse = _inverse(design, votes.weight * chance * (1.0 - chance), m)
        step = inverse @ pull
        reach = float(np.ptp(design @ step))
        beta = beta + step * (math.log1p(reach) / reach if reach > 1e-8 else 1.0)
        if reach < TOLERANCE or (reach < NOISE and reach > 0.5 * before):
            return beta, design, inverse
        before = reach
    raise UserError(
        "expected votes that the features do not decide alone, found no finite rating; fix: fewer --control"
    )


def _fitted(
    votes: Votes, features: Floats, choices: Choices, value: float | None, fixed: int | None
) -> Found:
    beta, design, inverse = fit_controlled(votes, features)
    m = len(votes.models)
    by = intervals.clusterings(votes) if choices.clusters is None else choices.clusters
    if len(by) > 1:
        by = ("voter",)
    of: dict[str, Indices] = {"voter": votes.voter, "prompt": votes.prompt}
    cluster = of[by[0]] if by else np.arange(len(votes))
    score = votes.weight * (votes.outcome - expit(design @ beta))
    count = int(cluster.max()) + 1
    summed = csr_array((score, (cluster, np.arange(len(votes)))), shape=(count, len(votes))) @ design
    covariance = inverse @ (summed.T @ summed).toarray() @ inverse * (count / (count - 1.0))
    point = POINTS * beta[:m] + 1000.0
    scale = Scale(point, value, fixed)
    label = f"sandwich by {by[0] if by else 'vote'}, at equal features"
    quantile = intervals.quantile(votes, by)
    return spread.from_covariance(point, POINTS**2 * covariance[:m, :m], quantile, scale, label)


def _inverse(design: csr_array, curved: Floats, m: int) -> Floats:
    """Return the inverse information; strengths, the first m parameters, are held to mean 0."""
    information = (design.T @ (design * curved[:, None])).toarray()
    ones = np.zeros(len(information))
    ones[:m] = 1.0
    ridge = max(float(np.trace(information)) / m, 1e-300)
    whole = np.linalg.pinv(information + ridge / m * np.outer(ones, ones), hermitian=True)
    return np.asarray(whole - np.outer(ones, ones) / (ridge * m))
