"""What a switch costs in score: the paired difference, a margin, and what so many prompts can see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.efficiency.equivalence import power_of_equivalence, prompts_for_equivalence
from lumina_eval.records import Interval, RunResult, Score
from lumina_eval.statistics.comparison import Comparison, compare_many
from lumina_eval.statistics.components import of_pair
from lumina_eval.statistics.endpoint import Endpoint, Pairs, endpoint_of

#: The chance that a switch without a loss is shown to be equivalent, for the number of prompts that it takes.
POWER: Final = 0.9

Run = tuple[RunResult, Sequence[Score]]


@dataclass(frozen=True)
class Price:
    """One switch against the exact sampler, on the same prompts and noise."""

    name: str
    metric: str
    unit: str
    lower_is_better: bool
    score: float
    difference: float
    """Switch minus exact, in the unit of the metric."""
    ci: Interval | None
    """95 %, over prompts."""
    margin: float | None
    """The difference that does not matter; None where the metric has no range to take a share of."""
    verdict: str
    """better, worse, equivalent, not worse, undecided, as ``lumina-eval compare`` says it; "worse,
    equivalent" where a difference was shown and lies within the margin."""
    n_pairs: int
    pairs: Pairs
    """What was paired: prompts, or groups of prompts where a score is of a whole group."""
    power: float | None
    """Chance that so many prompts show a switch that costs nothing to be equivalent within the margin."""
    needed: int | None
    """Prompts at which that chance is :data:`POWER`, with as many images each."""


def prices(exact: Run, switched: Mapping[str, Run], share: float) -> list[Price]:
    """Compare runs with that of the exact sampler.

    Args:
        exact: the run of the exact sampler.
        switched: name of a switch to its run, at least one.
        share: margin as a share of the metric's range: 0.01 is one point of a hundred.

    Raises UserError for a share that is no margin, and for runs of other prompts.
    """
    endpoint = endpoint_of([exact, *switched.values()])
    margin = None if endpoint.reach is None else share * endpoint.reach
    compared = compare_many(
        exact[1],
        {name: scores for name, (_, scores) in switched.items()},
        baseline_name="exact",
        endpoint=endpoint,
        margin=margin,
    )
    return [_price(one, exact[1], switched[one.candidate][1], endpoint) for one in compared]


def _price(
    compared: Comparison, baseline: Sequence[Score], candidate: Sequence[Score], endpoint: Endpoint
) -> Price:
    found = compared.primary
    power, needed = _sight(compared, baseline, candidate, endpoint)
    return Price(
        name=compared.candidate,
        metric=found.name,
        unit=compared.unit,
        lower_is_better=compared.lower_is_better,
        score=found.candidate,
        difference=found.difference,
        ci=found.ci,
        margin=compared.margin,
        verdict=_verdict(compared),
        n_pairs=found.n_prompts,
        pairs=compared.pairs,
        power=power,
        needed=needed,
    )


def _verdict(compared: Comparison) -> str:
    """Both statements where both were shown: that there is a difference, and that it does not matter."""
    both = compared.significant and compared.equivalent
    return f"{compared.verdict}, equivalent" if both else compared.verdict


def _sight(
    compared: Comparison, baseline: Sequence[Score], candidate: Sequence[Score], endpoint: Endpoint
) -> tuple[float | None, int | None]:
    """Return the power that the prompts had and how many it takes; None where no variance was seen."""
    margin, prompts = compared.margin, compared.primary.n_prompts
    if margin is None or not compared.plannable or compared.primary.minimum_detectable is None:
        return None, None
    parts = of_pair(baseline, candidate, endpoint)
    variance = parts.of_prompt(compared.images_per_prompt[0])
    df = max((prompts - 1) * parts.df_ratio, 1.0)
    power = power_of_equivalence(margin, math.sqrt(variance / prompts), df, compared.level)
    return power, prompts_for_equivalence(margin, variance, POWER, parts.df_ratio, compared.level)
