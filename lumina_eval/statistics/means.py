"""Means of scores with two confidence intervals, for prompts nested in tasks and images nested in prompts.

The estimate is linear over strata: sum of w[h] * R[h], where R[h] is the mean over the images of task h and
the weights w are equal (GenEval's overall: the unweighted mean of the task means) or proportional to the
images (the plain mean). With weights "prompts" R[h] is the mean over prompts of each prompt's own mean (DPG's
overall), which is another number only where images are missing. The two intervals answer two questions:

- `ci_seeds`: the prompts are fixed, only the noise is drawn again. Its variance is the one between the images
  of a prompt. *Can another laboratory reproduce this number?*
- `ci_prompts`: the prompts are a sample too. Its variance is the one between the prompts of a task (unequal
  numbers of images enter by linearisation of the ratio). *Does the number generalise?*

Both variances are *steadied* (`steadying`) where scores are shares of what was asked: near an end a few
prompts carry all of them.

Degrees of freedom are Satterthwaite's between prompts and Welch's between the few images of each prompt.
Where scores are bounded, the interval is Wilson's with the Student quantile at the effective sample size
n = R (1 - R) / variance: in the middle it is the t interval, it never leaves the range, it always holds the
estimate, and near the ends it still covers where the t interval does not (80 prompts at 0.99: 0.97 against
0.69). Where every observation agrees, the variance says nothing and n is the number of prompts (`ci_prompts`)
or of images (`ci_seeds`), so a perfect score is never certain.

The steadied variances are for the intervals of one score. A comparison pairs prompts and has a variance of
its own (`difference`), and a plan wants what prompts truly add: both take the variances as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from lumina_eval.records import Interval, Metric, Score
from lumina_eval.statistics.clusters import Clusters, Floats
from lumina_eval.statistics.steadying import by_task, steadied

Weights = Literal["equal", "images", "prompts"]
Bounds = tuple[float, float]

BOUNDS: dict[str, Bounds] = {"fraction": (0.0, 1.0), "percent": (0.0, 100.0), "signed_fraction": (-1.0, 1.0)}
"""The range of a score by the unit of its metric; a unit that is not here is unbounded."""

INTERVALS_VERSION: Final = 3
"""Raised when the same scores get other intervals, so that a record says by which rules its own were made.

- 1: the variance between prompts as it is, Satterthwaite's degrees of freedom throughout;
- 2: that variance steadied for single scores, Welch's degrees of freedom for `ci_seeds`;
- 3: both variances steadied task by task as well."""

LOWER_IS_BETTER = frozenset({"distance", "squared_mmd"})
"""Units of which less is better."""


def reach_of(unit: str) -> float | None:
    """Return the largest difference of two scores of this unit; None if it is unbounded."""
    bounds = BOUNDS.get(unit)
    return None if bounds is None else bounds[1] - bounds[0]


@dataclass(frozen=True)
class Estimate:
    """A stratified mean, its two intervals, and what they rest on; None is what cannot be said.

    `se_prompts` and `se_seeds` are what the intervals are made of: roots of the steadied variances, where
    those are steadied.
    """

    value: float
    ci_seeds: Interval | None
    ci_prompts: Interval | None
    se_seeds: float | None
    se_prompts: float | None
    df_seeds: float | None
    df_prompts: float | None
    n_prompts: int
    n_images: int
    level: float = 0.95


@dataclass(frozen=True)
class Moments:
    """The estimate and both variances as arrays over the leading axes (...) of `Clusters`; NaN is unknown."""

    value: Floats
    var_seeds: Floats
    """Unbiased, like `var_prompts`: for differences and plans."""
    steady_seeds: Floats
    """The same, steadied: for the interval of a score. `var_seeds` where nothing is to be steadied."""
    df_seeds: Floats
    var_prompts: Floats
    steady_prompts: Floats
    df_prompts: Floats
    n_prompts: int
    n_images: int


def moments(clusters: Clusters, weights: Weights = "equal", bounds: Bounds | None = None) -> Moments:
    """Value, variances and degrees of freedom of the stratified mean; see the module's text.

    `bounds` is the range of a score, for what is steadied. Scores that begin at 0 are shares of what was
    asked, and all that is asked of a prompt might stand or fall together. A similarity from -1 to 1 keeps to
    a small part of its range, so that nothing near its ends could happen to it: it is not steadied.

    A task with a single prompt borrows the largest variance between prompts of the other tasks; if no task
    has two, the tasks are one stratum (conservative: what differs between tasks then counts as chance).
    A prompt with a single image borrows the mean variance between images of its task; if no prompt of a
    task has two images, the variance between seeds is unknown.
    """
    count, stratum = clusters.count, clusters.stratum
    member = np.eye(int(stratum.max()) + 1)[stratum]  # (P, H)
    prompts, images = member.sum(axis=0), count @ member  # (H,)
    share = shares(clusters, weights)
    if weights == "prompts":
        mean = ((clusters.total / count) @ member) / prompts  # (..., H)
        scale = 1 / (len(count) * count)  # (P,) what one image's score adds to the value
    else:
        mean = (clusters.total @ member) / images
        scale = (share / images)[stratum]
    value = mean @ share

    if prompts.max() < 2:
        centre, groups, n = value[..., None], np.ones_like(member[:, :1]), np.array([float(len(count))])
    else:
        centre, groups, n = mean, member, prompts
    expected = centre @ groups.T  # (..., P)
    deviation = (clusters.total - expected * count) * scale
    known = n >= 2
    between = n / np.where(known, n - 1, 1) * ((deviation**2) @ groups)  # (..., H)
    if not known.any():
        between = np.full(between.shape, np.nan)
    elif not known.all():
        worst = (between / share**2 * n)[..., known].max(axis=-1, keepdims=True)
        between = np.where(known, between, worst * share**2)

    several = count >= 2
    within = np.where(several, clusters.spread / np.where(several, count - 1, 1), 0.0)  # (..., P)
    donors = several @ member  # (H,)
    borrowed = ((within @ member) / np.where(donors > 0, donors, np.nan))[..., stratum]
    between_images = np.where(several, within, borrowed) * count * scale**2  # (..., P)

    var_prompts, df_prompts = satterthwaite(
        between, np.where(known, n - 1, np.inf), n[known].sum() - known.sum()
    )
    var_seeds, df_seeds = welch(between_images, np.where(several, count - 1, np.inf), (count - 1).sum())
    steady_prompts, steady_seeds = var_prompts, var_seeds
    if bounds is not None and bounds[0] == 0:
        reach, square = bounds[1], (count * scale) ** 2
        parts = by_task(between / reach**2, square @ groups, n, centre / reach)
        together = np.clip(expected * (reach - expected), 0.0, None) @ square
        steady_prompts = reach**2 * steadied(parts.sum(axis=-1), deviation / reach, together / reach**2)
        parts = by_task(between_images @ member / reach**2, square @ member, prompts, mean / reach)
        steady_seeds = reach**2 * parts.sum(axis=-1)
    return Moments(
        value, var_seeds, steady_seeds, df_seeds, var_prompts, steady_prompts, df_prompts,
        len(count), int(count.sum()),
    )  # fmt: skip


def shares(clusters: Clusters, weights: Weights) -> Floats:
    """Weight of each task (H,); they add up to 1."""
    if weights == "equal":
        tasks = int(clusters.stratum.max()) + 1
        return np.full(tasks, 1 / tasks)
    size = clusters.count if weights == "images" else np.ones_like(clusters.count)
    found: Floats = np.bincount(clusters.stratum, weights=size) / size.sum()
    return found


def satterthwaite(parts: Floats, free: Floats, fallback: float) -> tuple[Floats, Floats]:
    """Sum of independent variances `parts` (..., N) with `free` (N,) degrees of freedom, and those of it."""
    variance = parts.sum(axis=-1)
    doubt = (parts**2 / free).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(doubt > 0, variance**2 / doubt, fallback)
    return variance, np.maximum(df, 1.0)


def welch(parts: Floats, free: Floats, most: float) -> tuple[Floats, Floats]:
    """Like `satterthwaite`, for `parts` of few degrees of freedom each, as of four images; at most `most`.

    The square of an estimated variance is too large on average, by (free + 2) / free, and so Satterthwaite's
    degrees of freedom are too few: V^2 / sum(part^2 / (free + 2)) - 2 (B. L. Welch, Biometrika 34, 1947).
    """
    variance = parts.sum(axis=-1)
    doubt = (parts**2 / (free + 2)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(doubt > 0, variance**2 / doubt - 2, most)
    return variance, np.clip(df, 1.0, max(most, 1.0))


def interval(
    value: ArrayLike, variance: ArrayLike, df: ArrayLike, size: float, bounds: Bounds | None, level: float
) -> tuple[Floats, Floats]:
    """Lower and upper limits, elementwise; NaN where the variance is unknown (or zero and unbounded).

    With bounds: Wilson's score interval at n = p (1 - p) / variance, at n = `size` if the variance is zero.
    """
    v, var = np.asarray(value, dtype=float), np.asarray(variance, dtype=float)
    q = scipy.stats.t.ppf((1 + level) / 2, np.asarray(df, dtype=float))
    if bounds is None:
        half = np.where(var > 0, q * np.sqrt(var), np.nan)
        return v - half, v + half
    low, high = bounds
    p = np.clip((v - low) / (high - low), 0.0, 1.0)
    # At an end every score is equal, so its variance is zero but for rounding: 1e-24 is rounding squared.
    tiny = var / (high - low) ** 2 <= 1e-24
    effective = np.where(tiny, size, p * (1 - p) / np.where(tiny, 1.0, var) * (high - low) ** 2)
    effective = np.where(np.isnan(var), np.nan, np.maximum(effective, 1e-9))
    shrink = q**2 / effective
    centre = (p + shrink / 2) / (1 + shrink)
    half = np.sqrt(p * (1 - p) * shrink + shrink**2 / 4) / (1 + shrink)
    lower = low + (high - low) * np.clip(centre - half, 0.0, 1.0)
    upper = low + (high - low) * np.clip(centre + half, 0.0, 1.0)
    return np.minimum(lower, v), np.maximum(upper, v)  # rounding must not put the estimate outside


def stratified_mean(
    scores: Sequence[Score],
    level: float = 0.95,
    bounds: Bounds | None = (0.0, 1.0),
    weights: Weights = "equal",
) -> Estimate:
    """Mean over tasks of the mean over images, with `ci_seeds` and `ci_prompts` at confidence `level`.

    `bounds` is the range of one score, None if it has none; a score outside it is a ValueError.
    `ci_seeds` is None if a task has no prompt with two images, `ci_prompts` if there is a single prompt.
    """
    if bounds is not None:
        for score in scores:
            if not bounds[0] <= score.value <= bounds[1]:
                raise ValueError(
                    f"score {score.value} of item {score.item_id!r}, image {score.index} is outside {bounds}"
                )
    found = moments(Clusters.of_scores(scores), weights, bounds)
    value = float(found.value) if bounds is None else float(np.clip(found.value, *bounds))
    parts = []
    for variance, df, size in (
        (found.steady_seeds, found.df_seeds, found.n_images),
        (found.steady_prompts, found.df_prompts, found.n_prompts),
    ):
        low, high = interval(value, variance, df, size, bounds, level)
        unknown = bool(np.isnan(variance))
        limits = None if np.isnan(low) else (float(low), float(high))
        parts.append((limits, None if unknown else float(np.sqrt(variance)), None if unknown else float(df)))
    (ci_seeds, se_seeds, df_seeds), (ci_prompts, se_prompts, df_prompts) = parts
    return Estimate(
        value, ci_seeds, ci_prompts, se_seeds, se_prompts, df_seeds, df_prompts,
        found.n_prompts, found.n_images, level,
    )  # fmt: skip


def metric(
    name: str,
    scores: Sequence[Score],
    unit: str = "fraction",
    weights: Weights = "equal",
    level: float = 0.95,
) -> Metric:
    """`stratified_mean` as a metric record; all null for no scores. `unit` decides the bounds (`BOUNDS`)."""
    if not scores:
        return Metric(
            name=name, value=None, ci_seeds=None, ci_prompts=None, n_prompts=0, n_images=0, unit=unit
        )
    found = stratified_mean(scores, level, BOUNDS.get(unit), weights)
    return Metric(
        name=name,
        value=found.value,
        ci_seeds=found.ci_seeds,
        ci_prompts=found.ci_prompts,
        n_prompts=found.n_prompts,
        n_images=found.n_images,
        unit=unit,
    )
