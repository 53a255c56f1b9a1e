"""One rating after another put together: point, interval, rank range, and what must be said beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from benchmarks.arena.ratings import compat, elo, intervals, ranks
from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes, subset
from benchmarks.arena.ratings.bootstrap import bootstrap
from benchmarks.arena.ratings.bradley_terry import POINTS, fit, win_probability
from benchmarks.arena.ratings.graph import Standing, standing
from lumina_eval.errors import UserError, unknown

Method = Literal["bradley-terry", "elo"]
Tool = Literal["fastchat", "evalica", "arena-rank"]
Cluster = intervals.Cluster
#: The quantiles of the intervals.
TAILS: Final = ((1.0 - intervals.LEVEL) / 2.0, (1.0 + intervals.LEVEL) / 2.0)


@dataclasses.dataclass(frozen=True)
class Anchor:
    """What fixes the scale: the rating of a model, or the mean of all (``model`` None)."""

    value: float = 1000.0
    model: str | None = None


@dataclasses.dataclass(frozen=True)
class Choices:
    """How to rate. ``clusters`` None takes those of voter and prompt that the votes have."""

    method: Method = "bradley-terry"
    tool: Tool | None = None
    k: float = elo.K
    anchor: Anchor | None = None
    rounds: int = 0
    seed: int | None = None
    clusters: tuple[Cluster, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Rating:
    """A model's rating; None is a number that does not exist. ``rank_low`` is the best rank it may have."""

    model: str
    rating: float | None
    ci_low: float | None
    ci_high: float | None
    rank_low: int | None
    rank_high: int | None
    battles: int


@dataclasses.dataclass(frozen=True)
class Warn:
    """Something that a reader of the ratings must know."""

    code: str
    models: tuple[str, ...]
    message: str


@dataclasses.dataclass(frozen=True, eq=False)
class Rated:
    """Ratings, best first, those without one last; and between the rated models, in that order, (r, r) tables.

    ``win`` is the chance that the row's model beats the column's, ``p`` the adjusted two-sided p that both
    are equally strong; None where there is no interval. ``interval`` names how intervals were made.
    """

    ratings: tuple[Rating, ...]
    warnings: tuple[Warn, ...]
    names: tuple[str, ...]
    win: Floats
    p: Floats | None
    interval: str


def rate(votes: Votes, choices: Choices) -> Rated:
    """Rate the models of ``votes``.

    Raises UserError if there is no vote, or the anchor is not a rated model.
    """
    if not len(votes):
        raise UserError("expected at least one battle, found none; fix: look at the file and its filters")
    names, anchor = votes.models, choices.anchor
    if anchor is not None and anchor.model is not None and anchor.model not in names:
        raise unknown("anchor model", anchor.model, names)
    fixed = names.index(anchor.model) if anchor is not None and anchor.model is not None else None
    every = np.arange(len(names))
    who = Standing(every, every[:0], every[:0], every[:0])
    if choices.method == "bradley-terry":
        who = standing(votes.wins(), names, fixed)
        if len(who.rated) == 1 and fixed is not None:
            raise UserError(
                f"expected an anchor with a finite rating, found {anchor.model!r}, "  # type:
                ignore[union-attr] "which has none; fix: anchor another model, or --anchor mean=1000" ) inner
                = who.rated if len(who.rated) > 1 else every[:0] point = np.full(len(names), np.nan) low, high
                = point.copy(), point.copy() best, worst = np.zeros(len(names), dtype=np.int64),
                np.zeros(len(names), dtype=np.int64) win, p, interval = np.empty((0, 0)), None, "none" if
                len(inner): found = _among(_restricted(votes, inner), choices, None if fixed is None else
                list(inner).index(fixed)) point[inner], low[inner], high[inner] = found.point, found.low,
                found.high best[inner], worst[inner] = found.best, found.worst interval = found.interval order
                = sorted(range(len(names)), key=lambda i: (np.isnan(point[i]), -np.nan_to_num(point[i]),
                names[i])) shown = [i for i in order if not np.isnan(point[i])] if shown: win =
                win_probability(point[shown][:, None], point[shown][None, :]) place = {int(i): at for at, i in
                enumerate(inner)} if found.spread is not None: at = [place[i] for i in shown] p =
                ranks.significance(found.point, found.spread)[np.ix_(at, at)] battles = votes.battles()
                ratings = tuple( Rating(names[i], _number(point[i]), _number(low[i]), _number(high[i]),
                int(best[i]) or None, int(worst[i]) or None, int(battles[i])) for i in order )  # fmt: skip
                warnings = _warnings(names, who, inner) return Rated(ratings, warnings, tuple(names[i] for i
                in shown), win, p, interval)


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
    """What is known of the rated models, (r,) each; ``spread`` (r, r) is the error of differences."""

    point: Floats
    low: Floats
    high: Floats
    best: ranks.Whole
    worst: ranks.Whole
    spread: Floats | None
    interval: str


def _among(votes: Votes, choices: Choices, fixed: int | None) -> _Found:
    """Rate models that have finite ratings."""
    if choices.method == "elo":
        return _sampled(*_elo(votes, choices), choices, fixed, by_overlap=True)
    if choices.tool == "fastchat":
        tool = compat.Fastchat(votes)
        samples = tool.bootstrap(choices.rounds, choices.seed or 0) if choices.rounds else None
        point = tool.ratings()
        if samples is not None:
            return _sampled(point, samples, choices, fixed, by_overlap=True)
    elif choices.tool == "evalica":
        point = compat.evalica_ratings(votes.wins())
    else:
        point = POINTS * fit(votes.wins()) + 1000.0
    theta = (point - point.mean()) / POINTS
    if choices.rounds:
        by = _clusters(votes, choices)[:1]
        of = {"voter": votes.voter, "prompt": votes.prompt}
        cluster = of[by[0]] if by and choices.tool is None else None
        samples = POINTS * bootstrap(votes, theta, choices.rounds, choices.seed or 0, cluster) + point.mean()
        label = f"bootstrap, {choices.rounds} rounds of {by[0] if cluster is not None else 'vote'}s"
        return dataclasses.replace(_sampled(point, samples, choices, fixed), interval=label)
    return _sandwich(votes, point, theta, choices, fixed)


def _sandwich(votes: Votes, point: Floats, theta: Floats, choices: Choices, fixed: int | None) -> _Found:
    m = len(point)
    by = () if choices.tool is not None else _clusters(votes, choices)
    covariance = POINTS**2 * intervals.covariance(votes, theta, by)
    spread = ranks.difference_error(covariance)
    quantile = intervals.quantile(votes, by)
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0)) if fixed is None else spread[fixed]
    if choices.tool == "arena-rank":
        quantile = intervals.normal_quantile()
        error = compat.arena_rank_error(votes, theta) if fixed is None else spread[fixed]
    best, worst = ranks.ranks_by_difference(point, spread, quantile)
    shown = _anchored(point, choices, fixed, point)
    label = f"sandwich, {' and '.join(by) or 'vote'} by {' and '.join(by) or 'vote'}"
    if m == 1:
        return _Found(shown, shown, shown, best, worst, None, "none")
    return _Found(shown, shown - quantile * error, shown + quantile * error, best, worst, spread, label)


def _elo(votes: Votes, choices: Choices) -> tuple[Floats, Floats | None]:
    samples = None
    if choices.rounds:
        seed = 42 if choices.seed is None else choices.seed
        samples = elo.bootstrap_elo(votes, choices.rounds, seed, choices.k)
    return elo.elo(votes, choices.k), samples


def _sampled(
    point: Floats, samples: Floats | None, choices: Choices, fixed: int | None, by_overlap: bool = False
) -> _Found:
    """Take intervals and ranks from rounds of a bootstrap; without any there are none."""
    m = len(point)
    shown = _anchored(point, choices, fixed, point)
    if samples is None:
        none, zero = np.full(m, np.nan), np.zeros(m, dtype=np.int64)
        return _Found(shown, none, none, zero, zero, None, "none")
    moved = _anchored(samples, choices, fixed, point)
    low = _quantile(np.where(np.isnan(moved), -np.inf, moved), TAILS[0])
    high = _quantile(np.where(np.isnan(moved), np.inf, moved), TAILS[1])
    finite = np.where(np.isfinite(samples), samples, np.nan)
    difference = finite[:, :, None] - finite[:, None, :]
    spread = np.sqrt(np.nan_to_num(np.nanvar(difference, axis=0, ddof=1)))
    if by_overlap:
        best, worst = ranks.ranks_by_overlap(low, high)
    else:
        best, worst = _ranks_of_samples(samples)
    return _Found(shown, low, high, best, worst, spread, f"bootstrap, {len(samples)} rounds")


def _ranks_of_samples(samples: Floats) -> tuple[ranks.Whole, ranks.Whole]:
    """Return rank ranges where a model is better if it is so in 97.5 % of rounds."""
    with np.errstate(invalid="ignore"):
        ahead = (samples[:, :, None] > samples[:, None, :]).mean(axis=0) >= TAILS[1]
    return 1 + ahead.sum(axis=0), samples.shape[1] - ahead.sum(axis=1)


def _anchored(values: Floats, choices: Choices, fixed: int | None, point: Floats) -> Floats:
    """Shift (..., r) ratings: each row so that the anchor model has its value, or all by the mean's shift."""
    if choices.anchor is None:
        return values
    if fixed is not None:
        return np.asarray(values - values[..., [fixed]] + choices.anchor.value)
    return np.asarray(values - point.mean() + choices.anchor.value)


def _quantile(values: Floats, tail: float) -> Floats:
    """Return quantiles over rounds; between an infinite and a finite value lies the infinite one."""
    with np.errstate(invalid="ignore"):
        linear = np.quantile(values, tail, axis=0)
    edge = np.quantile(values, tail, axis=0, method="lower" if tail < 0.5 else "higher")
    return np.asarray(np.where(np.isnan(linear), edge, linear))


def _clusters(votes: Votes, choices: Choices) -> tuple[Cluster, ...]:
    return intervals.clusterings(votes) if choices.clusters is None else choices.clusters


def _restricted(votes: Votes, inner: Indices) -> Votes:
    """Return the votes between models of ``inner``, which become all models there are."""
    if len(inner) == len(votes.models):
        return votes
    new = np.full(len(votes.models), -1)
    new[inner] = np.arange(len(inner))
    kept = subset(votes, (new[votes.a] >= 0) & (new[votes.b] >= 0))
    return dataclasses.replace(
        kept, models=tuple(votes.models[i] for i in inner), a=new[kept.a], b=new[kept.b]
    )


def _warnings(names: Sequence[str], who: Standing, inner: Indices) -> tuple[Warn, ...]:
    def warn(code: str, places: Indices, message: str) -> Warn:
        models = tuple(sorted(names[i] for i in places))
        return Warn(code, models, message.format(models=", ".join(models)))

    if not len(inner):
        every = np.arange(len(names))
        return (warn("not-rated", every, "no two models have each won against the other: {models} are not
        rated"),) found = [] if len(who.above): found.append( warn("unbeaten", who.above, "{models}: nothing
        lost to the rated models, so no finite rating") ) if len(who.below): found.append( warn("winless",
        who.below, "{models}: nothing won from the rated models, so no finite rating") ) if len(who.apart):
        found.append( warn("disconnected", who.apart, "{models}: no chain of battles to the rated models, no
        rating") ) return tuple(found)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
