"""Is one checkpoint better than another on the same prompts?

The unit is the prompt: both models answered it, and the difference of its two means over images is one
number. The difference of the primary endpoint is tested once; the tasks are looked at after it and corrected
together (Holm). Beside each p value stands what the prompts could have shown, the minimum detectable
difference; and a claim of *no* difference is read off the printed interval, with a margin that was named
before: with 95 % on both sides, each side is a one-sided test at nominally 2.5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import Field

from lumina_eval.errors import UserError
from lumina_eval.records import Interval, Record, Score
from lumina_eval.statistics.contrast import Difference, contrast
from lumina_eval.statistics.endpoint import Endpoint, Pairs
from lumina_eval.statistics.pairing import Paired, pair_runs
from lumina_eval.statistics.pareto import Cost
from lumina_eval.statistics.sign_flip import holm, sign_flip

RESAMPLES: Final = 10_000

Gate = Literal["passed", "failed", "undecided"]


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
    margin_alpha: float | None = None
    """Nominal one-sided error of each statement about the margin: half of 1 - level."""
    non_inferior: bool | None = None
    """The candidate is not worse by the margin or more: the interval lies wholly on that side."""
    equivalent: bool | None = None
    """It is neither worse nor better by the margin or more: the interval lies within it."""
    images_per_prompt: tuple[float, float]
    """Of the baseline and of the candidate, on average."""
    resamples: int
    seed: int
    unit: str = "fraction"
    lower_is_better: bool = False
    """The scores are distances: a difference below zero is the better one."""
    pairs: Pairs = "prompts"
    """What is paired, and so what wins, losses and ties are counts of."""
    plannable: bool = True
    """A number of prompts can be named that would decide."""
    published: bool = True
    """The primary endpoint is a metric of the benchmark; else a mean made for the comparison."""
    gate: Gate | None = None
    """What the gate makes of it; None where none was asked for."""
    baseline_cost: Cost | None = None
    candidate_cost: Cost | None = None

    @property
    def gain(self) -> Interval | None:
        """The interval of the primary difference, turned so that more is better."""
        ci = self.primary.ci
        return (-ci[1], -ci[0]) if ci is not None and self.lower_is_better else ci

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
    endpoint: Endpoint | None = None,
    level: float = 0.95,
    margin: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare `candidate` with `baseline`, paired by prompt; positive differences are the candidate's.

    `endpoint` says which mean of the scores is meant, the plain mean of tasks between 0 and 1 if not given.
    Raises UserError if the runs did not answer the same prompts.
    """
    return compare_many(
        baseline,
        {names[1]: candidate},
        baseline_name=names[0],
        endpoint=endpoint,
        level=level,
        margin=margin,
        resamples=resamples,
        seed=seed,
    )[0]


def compare_many(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    *,
    baseline_name: str = "baseline",
    endpoint: Endpoint | None = None,
    level: float = 0.95,
    margin: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Comparison]:
    """Compare many candidates with one baseline; `primary.p_adjusted` is corrected by max-T over all of them.

    The chance that any candidate without a difference is called significant is then 1 - `level` for the lot.
    Their intervals are not corrected: each is about its own candidate.
    """
    about = endpoint or Endpoint()
    if not candidates:
        raise UserError("expected at least one candidate to compare, found none; fix: name a second run")
    check_margin(margin, about)
    pairs = [pair_runs(baseline, scores, (baseline_name, name)) for name, scores in candidates.items()]
    first = pairs[0]
    differences = np.stack([np.subtract(*reversed(pair.values(about.weights))) for pair in pairs])
    joint = sign_flip(differences, first.stratum, first.share(about.weights), resamples, seed)
    compared = []
    for place, (name, pair) in enumerate(zip(candidates, pairs, strict=True)):
        primary = contrast(about, pair, level, joint, place, float(joint.p_max[place]))
        made = Comparison(
            baseline=baseline_name,
            candidate=name,
            primary=primary,
            tasks=_tasks(about, pair, level, resamples, seed),
            level=level,
            significant=primary.p_adjusted <= 1 - level + 1e-12,
            margin=margin,
            margin_alpha=None if margin is None else round((1 - level) / 2, 6),
            images_per_prompt=pair.images,
            resamples=resamples,
            seed=seed,
            unit=about.unit,
            lower_is_better=about.lower_is_better,
            pairs=about.pairs,
            plannable=about.plannable,
            published=about.published,
        )
        compared.append(made.model_copy(update=_within(made.gain, margin)))
    return compared


def check_margin(margin: float | None, endpoint: Endpoint) -> None:
    """Raise UserError for a margin that no difference of this endpoint can be held against."""
    if margin is None:
        return
    if not margin > 0:
        raise UserError(
            f"expected a margin above 0, found {margin}; fix: name the difference that does not matter"
        )
    if endpoint.reach is not None and margin >= endpoint.reach:
        low, high = endpoint.bounds or (0.0, 1.0)
        raise UserError(
            f"expected a margin below {endpoint.reach:g}, found {margin:g}: {endpoint.name} is between "
            f"{low:g} and {high:g}, so every difference is smaller; fix: name it in points of the metric"
        )


def _within(gain: Interval | None, margin: float | None) -> dict[str, bool | None]:
    """What the interval says of the margin."""
    if gain is None or margin is None:
        return {"non_inferior": None, "equivalent": None}
    return {"non_inferior": gain[0] > -margin, "equivalent": gain[0] > -margin and gain[1] < margin}


def _tasks(about: Endpoint, pair: Paired, level: float, resamples: int, seed: int) -> list[Difference]:
    """The same for each task on its own, in the benchmark's order, with Holm over the tasks."""
    if len(pair.tasks) == 1:
        return []
    parts = [pair.of_task(task) for task in about.in_order(pair.tasks)]
    values = [part.values("equal") for part in parts]
    tests = [
        sign_flip(after - before, part.stratum, [1.0], resamples, seed)
        for part, (before, after) in zip(parts, values, strict=True)
    ]
    adjusted = holm([float(test.p[0]) for test in tests])
    return [
        contrast(about.of_task(part.tasks[0]), part, level, test, 0, p)
        for part, test, p in zip(parts, tests, adjusted, strict=True)
    ]
