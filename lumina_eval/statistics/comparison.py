"""Is one checkpoint better than another on the same prompts?

The unit is the prompt: both models answered it, and the difference of its two means over images is one
number. The difference of the overall scores is the primary endpoint, tested once; the tasks are looked at
after it and corrected together (Holm). Beside each p value stands what the prompts could have shown, the
minimum detectable effect; and a claim of *no* difference is a test of its own, equivalence or non-inferiority
with a margin that was named before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from pydantic import Field
from scipy import stats

from lumina_eval.errors import UserError
from lumina_eval.records import Interval, Record, Score
from lumina_eval.statistics.means import Bounds, Clusters, Weights, moments
from lumina_eval.statistics.pairing import Paired, pair_runs
from lumina_eval.statistics.sign_flip import holm, sign_flip

POWER = 0.8

Gate = Literal["passed", "failed", "undecided"]


class Difference(Record):
    """Candidate minus baseline for one score; a number that cannot be known is None."""

    name: str
    baseline: float
    candidate: float
    difference: float
    ci: Interval | None
    """Over prompts, at the level of the comparison."""
    p_value: float
    """Two-sided studentised sign-flip test."""
    p_adjusted: float
    """The same, corrected for what it was tested together with; equal to `p_value` for a single endpoint."""
    exact: bool
    """Every assignment of signs was tried; else a seeded sample of them."""
    minimum_detectable: float | None
    """The true difference that these prompts would have shown with power 0.8."""
    n_prompts: int = Field(ge=1)


class Comparison(Record):
    """Two runs compared. `primary` is the claim; `tasks` are where it comes from."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    baseline: str
    candidate: str
    primary: Difference
    tasks: list[Difference]
    level: float
    significant: bool
    """The primary endpoint differs: its adjusted p value is at most 1 - level."""
    margin: float | None = None
    """The difference that does not matter, in the unit of the scores."""
    p_non_inferior: float | None = None
    p_equivalent: float | None = None
    non_inferior: bool | None = None
    """The candidate is not worse by the margin or more (one-sided t)."""
    equivalent: bool | None = None
    """It is neither worse nor better by the margin or more (two one-sided t)."""
    images_per_prompt: tuple[float, float]
    """Of the baseline and of the candidate, on average."""
    resamples: int
    seed: int
    lower_is_better: bool = False
    """The scores are distances: a difference below zero is the better one."""

    @property
    def verdict(self) -> str:
        """The comparison in a word: what was shown, not what was seen."""
        if self.significant:
            return "better" if (self.primary.difference > 0) != self.lower_is_better else "worse"
        if self.equivalent:
            return "equivalent"
        return "not worse" if self.non_inferior else "undecided"


def compare(
    baseline: Sequence[Score],
    candidate: Sequence[Score],
    *,
    names: tuple[str, str] = ("baseline", "candidate"),
    level: float = 0.95,
    margin: float | None = None,
    bounds: Bounds | None = (0.0, 1.0),
    weights: Weights = "equal",
    resamples: int = 9999,
    seed: int = 0,
    lower_is_better: bool = False,
) -> Comparison:
    """Compare `candidate` with `baseline`, paired by prompt; positive differences are the candidate's.

    `bounds` is the range of a score, `weights` those of `stratified_mean`. Raises UserError if the runs did
    not answer the same prompts.
    """
    return compare_many(
        baseline,
        {names[1]: candidate},
        baseline_name=names[0],
        level=level,
        margin=margin,
        bounds=bounds,
        weights=weights,
        resamples=resamples,
        seed=seed,
        lower_is_better=lower_is_better,
    )[0]


def compare_many(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    *,
    baseline_name: str = "baseline",
    level: float = 0.95,
    margin: float | None = None,
    bounds: Bounds | None = (0.0, 1.0),
    weights: Weights = "equal",
    resamples: int = 9999,
    seed: int = 0,
    lower_is_better: bool = False,
) -> list[Comparison]:
    """Compare many candidates with one baseline; `primary.p_adjusted` is corrected by max-T over all of them.

    The chance that any candidate without a difference is called significant is then 1 - `level` for the lot.
    """
    if not candidates:
        raise UserError("expected at least one candidate to compare, found none; fix: name a second run")
    if margin is not None and margin <= 0:
        raise UserError(
            f"expected a margin above 0, found {margin}; fix: name the difference that does not matter"
        )
    pairs = [pair_runs(baseline, scores, (baseline_name, name)) for name, scores in candidates.items()]
    first = pairs[0]
    share = first.share(weights)
    joint = sign_flip(np.stack([pair.difference for pair in pairs]), first.stratum, share, resamples, seed)
    compared = []
    for place, (name, pair) in enumerate(zip(candidates, pairs, strict=True)):
        primary, error, df = _difference(
            "overall",
            pair,
            weights,
            bounds,
            level,
            float(joint.p[place]),
            float(joint.p_max[place]),
            joint.exact,
        )
        gain, ci = _gain(primary, lower_is_better)
        below, above = _one_sided(gain, error, df, margin)
        both = None if below is None or above is None else max(below, above)
        compared.append(
            Comparison(
                baseline=baseline_name,
                candidate=name,
                primary=primary,
                tasks=_tasks(pair, bounds, level, resamples, seed),
                level=level,
                significant=primary.p_adjusted <= 1 - level + 1e-12,
                margin=margin,
                p_non_inferior=below,
                p_equivalent=both,
                non_inferior=_shown(below, ci, margin, np.inf, level),
                equivalent=_shown(both, ci, margin, margin, level),
                images_per_prompt=pair.images,
                resamples=resamples,
                seed=seed,
                lower_is_better=lower_is_better,
            )
        )
    return compared


def _gain(primary: Difference, lower_is_better: bool) -> tuple[float, Interval | None]:
    """The difference and its interval, turned so that more is better."""
    if not lower_is_better:
        return primary.difference, primary.ci
    return -primary.difference, None if primary.ci is None else (-primary.ci[1], -primary.ci[0])


def _tasks(pair: Paired, bounds: Bounds | None, level: float, resamples: int, seed: int) -> list[Difference]:
    """The same for each task on its own, with Holm over the tasks."""
    if len(pair.tasks) == 1:
        return []
    parts = [pair.of_task(task) for task in range(len(pair.tasks))]
    tests = [sign_flip(part.difference, part.stratum, [1.0], resamples, seed) for part in parts]
    raw = [float(test.p[0]) for test in tests]
    return [
        _difference(part.tasks[0], part, "equal", bounds, level, p, adjusted, test.exact)[0]
        for part, test, p, adjusted in zip(parts, tests, raw, holm(raw), strict=True)
    ]


def _difference(
    name: str,
    pair: Paired,
    weights: Weights,
    bounds: Bounds | None,
    level: float,
    p_value: float,
    p_adjusted: float,
    exact: bool,
) -> tuple[Difference, float | None, float]:
    """The record, and the standard error (None if it cannot be known) with its degrees of freedom."""
    one, none = np.ones(len(pair.stratum)), np.zeros(len(pair.stratum))
    found = moments(Clusters(pair.difference, none, one, pair.stratum), weights)
    before = float(moments(Clusters(pair.baseline, none, one, pair.stratum), weights).value)
    after = float(moments(Clusters(pair.candidate, none, one, pair.stratum), weights).value)
    difference, error, df = float(found.value), float(np.sqrt(found.var_prompts)), float(found.df_prompts)
    quantile = float(stats.t.ppf((1 + level) / 2, df))
    known = error > 1e-12 * (abs(before) + abs(after))  # False too where the error is not a number
    ci: Interval | None = None
    if known:
        low, high = difference - quantile * error, difference + quantile * error
        reach = np.inf if bounds is None else bounds[1] - bounds[0]
        ci = (max(low, -reach), min(high, reach))
    elif bounds is not None and not np.isnan(error):
        # All prompts differ alike, mostly by nothing: Wilson's limit for 0 of n, as for a perfect score.
        slack = (bounds[1] - bounds[0]) * quantile**2 / (len(one) + quantile**2)
        ci = (max(difference - slack, bounds[0] - bounds[1]), min(difference + slack, bounds[1] - bounds[0]))
    record = Difference(
        name=name,
        baseline=before,
        candidate=after,
        difference=difference,
        ci=ci,
        p_value=p_value,
        p_adjusted=p_adjusted,
        exact=exact,
        minimum_detectable=minimum_detectable(error, df, level) if known else None,
        n_prompts=len(one),
    )
    return record, error if known else None, df


def minimum_detectable(error: float, df: float, level: float = 0.95, power: float = POWER) -> float:
    """Return the true difference that a two-sided test at `level` finds with probability `power`.

    `error` is the standard error of the difference, `df` its degrees of freedom.
    """
    return float((stats.t.ppf((1 + level) / 2, df) + stats.t.ppf(power, df)) * error)


def _one_sided(
    difference: float, error: float | None, df: float, margin: float | None
) -> tuple[float | None, float | None]:
    """P values of `worse by the margin or more` and of `better by the margin or more`."""
    if error is None or margin is None:
        return None, None
    return (
        float(stats.t.sf((difference + margin) / error, df)),
        float(stats.t.cdf((difference - margin) / error, df)),
    )


def _shown(
    p_value: float | None, ci: Interval | None, margin: float | None, above: float | None, level: float
) -> bool | None:
    """Does the difference lie above -margin and below `above`? Without a p value the interval decides."""
    if margin is None or above is None or (p_value is None and ci is None):
        return None
    if p_value is not None:
        return p_value <= 1 - level
    return ci is not None and ci[0] > -margin and ci[1] < above


class Measured(Protocol):
    """What a gate looks at: a metric record or an estimate."""

    @property
    def value(self) -> float | None:
        """The estimate; None if unknown."""

    @property
    def ci_prompts(self) -> Interval | None:
        """Its interval over prompts."""


def gate(measured: Measured, minimum: float, strict: bool = False) -> Gate:
    """Is the value at least `minimum`?

    By default the value alone decides, as a reader of the table would. With `strict` the interval over
    prompts must lie on one side: wholly at or above `minimum` passes, wholly below fails, and an interval
    that holds `minimum` is `undecided`: this n cannot tell. A value that is unknown is always `undecided`.
    """
    if measured.value is None:
        return "undecided"
    if not strict:
        return "passed" if measured.value >= minimum else "failed"
    if measured.ci_prompts is None:
        return "undecided"
    low, high = measured.ci_prompts
    return "passed" if low >= minimum else "failed" if high < minimum else "undecided"


def comparison_gate(comparison: Comparison) -> Gate:
    """Is the candidate no worse than the baseline?

    With a margin: `passed` if non-inferiority is shown, `failed` if the whole interval lies below -margin.
    Without one: `passed` if significantly better, `failed` if significantly worse. Else `undecided`.
    """
    primary = comparison.primary
    if comparison.margin is None:
        if not comparison.significant:
            return "undecided"
        return "passed" if comparison.verdict == "better" else "failed"
    if comparison.non_inferior:
        return "passed"
    _, ci = _gain(primary, comparison.lower_is_better)
    return "failed" if ci is not None and ci[1] < -comparison.margin else "undecided"
