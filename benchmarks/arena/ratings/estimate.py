"""From votes to what is shown: who can be rated, the ratings by the chosen method, and what must be said."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.arena.ratings import compat, elo, intervals, ranks, spread
from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes, subset
from benchmarks.arena.ratings.bootstrap import bootstrap
from benchmarks.arena.ratings.bradley_terry import POINTS, fit, win_probability
from benchmarks.arena.ratings.graph import Standing, standing
from benchmarks.arena.ratings.results import Choices, Rated, Rating, Warn
from benchmarks.arena.ratings.spread import Found, Scale
from lumina_eval.errors import UserError, unknown

#: numpy's seeds of FastChat's two bootstraps.
SEED: Final = 0
ELO_SEED: Final = 42
MESSAGES: Final = {
    "unbeaten": "lost nothing, directly or over others, to the rated models: no finite rating",
    "winless": "won nothing, directly or over others, from the rated models: no finite rating",
    "disconnected": "cannot be compared with the rated models, directly or over others: no rating",
    "not-rated": "no two models have each won something from the other, directly or over others: no rating",
}

#: Elo has numbers for such models too.
ELO_DOUBT: Final = " by strength; Elo's number depends on how many battles there were"


def rate(votes: Votes, choices: Choices) -> Rated:
    """Rate the models of ``votes``.

    Where some have no finite rating, the others are rated by the battles among themselves.
    Raises UserError if there is no vote, or no finite rating of the anchor model.
    """
    inner, who, fixed, _ = connected(votes, choices)
    rated = assemble(votes, who, _among(inner, choices, fixed) if len(who.rated) else None)
    if choices.method == "elo":
        rated = dataclasses.replace(rated, warnings=_doubts(votes))
    return rated


def connected(votes: Votes, choices: Choices) -> tuple[Votes, Standing, int | None, npt.NDArray[np.bool_]]:
    """Return the votes among models that can be rated, who these are, the anchor's place, and which votes.

    Nobody is rated if no two models can be. Raises UserError as :func:`rate`.
    """
    if not len(votes):
        raise UserError("expected at least one battle, found none; fix: look at the file and its filters")
    fixed = _anchor(votes, choices)
    every = np.arange(len(votes.models))
    if choices.method == "elo":
        who = Standing(every, every[:0], every[:0], every[:0])
    else:
        who = standing(votes.wins(), votes.models, fixed)
    if len(who.rated) > 1:
        inner, kept = _restricted(votes, who.rated)
        return inner, who, None if fixed is None else int(np.searchsorted(who.rated, fixed)), kept
    if fixed is not None:
        raise UserError(
            f"expected an anchor that has a finite rating, found {votes.models[fixed]!r}, which has none; "
            "fix: anchor another model, or --anchor mean=1000"
        )
    nobody = Standing(every[:0], every[:0], every[:0], every)
    return votes, nobody, None, np.zeros(len(votes), dtype=bool)


def _anchor(votes: Votes, choices: Choices) -> int | None:
    if choices.anchor is None or choices.anchor.model is None:
        return None
    if choices.anchor.model not in votes.models:
        raise unknown("anchor model", choices.anchor.model, votes.models)
    return votes.models.index(choices.anchor.model)


def _among(votes: Votes, choices: Choices, fixed: int | None) -> Found:
    """Rate models that all have finite ratings."""
    value = None if choices.anchor is None else choices.anchor.value
    if choices.method == "elo":
        point = elo.elo(votes, choices.k)
        scale = Scale(point, value, fixed)
        if not choices.rounds:
            return spread.bare(point, scale)
        seed = ELO_SEED if choices.seed is None else choices.seed
        rounds = elo.bootstrap_elo(votes, choices.rounds, seed, choices.k)
        return spread.from_rounds(point, rounds, scale, _label(choices, "vote"), by_overlap=True)
    tool = compat.Fastchat(votes) if choices.tool == "fastchat" else None
    if tool is not None:
        point = tool.ratings()
    elif choices.tool == "evalica":
        point = compat.evalica_ratings(votes.wins())
    else:
        point = POINTS * fit(votes.wins()) + 1000.0
    scale = Scale(point, value, fixed)
    if tool is not None and choices.rounds:
        rounds = tool.bootstrap(choices.rounds, SEED if choices.seed is None else choices.seed)
        return spread.from_rounds(point, rounds, scale, _label(choices, "vote"), by_overlap=True)
    return (_resampled if choices.rounds else _sandwich)(votes, choices, point, scale)


def _resampled(votes: Votes, choices: Choices, point: Floats, scale: Scale) -> Found:
    by = _clusters(votes, choices)
    if len(by) > 1 and choices.clusters is not None:
        raise UserError(
            f"expected one cluster for a bootstrap, found {' and '.join(by)}; "
            "fix: name one, or leave --bootstrap out for the sandwich, which takes both"
        )
    of: dict[str, Indices] = {"voter": votes.voter, "prompt": votes.prompt}
    seed = SEED if choices.seed is None else choices.seed
    theta = (point - point.mean()) / POINTS
    rounds = bootstrap(votes, theta, choices.rounds, seed, of[by[0]] if by else None)
    label = _label(choices, by[0] if by else "vote")
    return spread.from_rounds(point, POINTS * rounds + point.mean(), scale, label)


def _sandwich(votes: Votes, choices: Choices, point: Floats, scale: Scale) -> Found:
    by = _clusters(votes, choices)
    theta = (point - point.mean()) / POINTS
    covariance = POINTS**2 * intervals.covariance(votes, theta, by)
    label = f"sandwich by {' and '.join(by) or 'vote'}"
    if choices.tool == "arena-rank":
        own = compat.arena_rank_error(votes, theta)
        return spread.from_covariance(point, covariance, intervals.normal_quantile(), scale, label, own)
    return spread.from_covariance(point, covariance, intervals.quantile(votes, by), scale, label)


def _clusters(votes: Votes, choices: Choices) -> tuple[intervals.Cluster, ...]:
    """Return the clusters to go by; none of the other tools knows any."""
    if choices.clusters is not None:
        return choices.clusters
    return () if choices.tool is not None else intervals.clusterings(votes)


def _label(choices: Choices, unit: str) -> str:
    return f"bootstrap of {choices.rounds} rounds by {unit}"


def _restricted(votes: Votes, inner: Indices) -> tuple[Votes, npt.NDArray[np.bool_]]:
    """Return the votes between the models of ``inner``, which become all the models there are, and which."""
    new = np.full(len(votes.models), -1)
    new[inner] = np.arange(len(inner))
    among = (new[votes.a] >= 0) & (new[votes.b] >= 0)
    if among.all():
        return votes, among
    kept = subset(votes, among)
    names = tuple(votes.models[i] for i in inner)
    return dataclasses.replace(kept, models=names, a=new[kept.a], b=new[kept.b]), among


def assemble(votes: Votes, who: Standing, found: Found | None) -> Rated:
    """Put ratings of the models that have one, and warnings of the others, together."""
    battles = votes.battles()
    rows, win, p, interval = [], np.empty((0, 0)), None, "none"
    if found is not None:
        names = [votes.models[i] for i in who.rated]
        order = sorted(range(len(names)), key=lambda at: (-found.point[at], names[at]))
        rows = [
            Rating(
                model=names[at],
                rating=float(found.point[at]),
                ci_low=_finite(found.low[at]),
                ci_high=_finite(found.high[at]),
                rank_low=int(found.best[at]) or None,
                rank_high=int(found.worst[at]) or None,
                battles=int(battles[who.rated[at]]),
            )
            for at in order
        ]
        win = win_probability(found.point[order][:, None], found.point[order][None, :])
        p = (
            None
            if found.error is None
            else ranks.significance(found.point, found.error)[np.ix_(order, order)]
        )
        interval = found.interval
    rest = sorted({*range(len(votes.models))} - {*who.rated.tolist()}, key=votes.models.__getitem__)
    rows += [Rating(votes.models[i], None, None, None, None, None, int(battles[i])) for i in rest]
    return Rated(tuple(rows), _warnings(votes, who, found is None), win, p, interval)


def _warnings(votes: Votes, who: Standing, nobody: bool) -> tuple[Warn, ...]:
    apart = "not-rated" if nobody else "disconnected"
    of = {"unbeaten": who.above, "winless": who.below, apart: who.apart}
    named = {code: tuple(sorted(votes.models[i] for i in places)) for code, places in of.items()}
    return tuple(
        Warn(code, models, f"{', '.join(models)}: {MESSAGES[code]}")
        for code, models in named.items()
        if models
    )


def _doubts(votes: Votes) -> tuple[Warn, ...]:
    """Warn of models to which Elo gives a number all the same."""
    who = standing(votes.wins(), votes.models)
    nobody = len(who.rated) == 1
    every = np.arange(len(votes.models))
    found = _warnings(votes, Standing(every[:0], every[:0], every[:0], every) if nobody else who, nobody)
    return tuple(dataclasses.replace(each, message=f"{each.message}{ELO_DOUBT}") for each in found)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
