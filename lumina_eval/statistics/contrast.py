"""One row of a comparison: the difference of two runs in one score, and the prompts that it comes from."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import Field

from lumina_eval.records import Interval, Record
from lumina_eval.statistics.difference import mean_difference
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.pairing import Paired
from lumina_eval.statistics.power import minimum_detectable
from lumina_eval.statistics.sign_flip import FlipTest

SHOWN: Final = 5
"""How many of the largest gains and losses are named."""


class PromptChange(Record):
    """One prompt of a comparison: what both runs scored there, on average over its images."""

    task: str
    item_id: str
    baseline: float
    candidate: float


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
    wins: int = Field(ge=0)
    """Prompts on which the candidate is better."""
    losses: int = Field(ge=0)
    ties: int = Field(ge=0)
    largest_gains: list[PromptChange]
    """The first of the wins by size, no more than five."""
    largest_losses: list[PromptChange]


def contrast(
    about: Endpoint, pair: Paired, level: float, test: FlipTest, place: int, p_adjusted: float
) -> Difference:
    """Return the row of a score: its test is the one at `place` of `test`, with `p_adjusted`."""
    before, after = pair.values(about.weights)
    share = pair.share(about.weights)
    per_prompt = (share / np.bincount(pair.stratum))[pair.stratum]
    found = mean_difference(after - before, pair.stratum, about.weights, about.reach, level)
    known = not bool(found.alike) and not np.isnan(found.variance)
    sign = -1.0 if about.lower_is_better else 1.0
    gain = sign * (pair.candidate - pair.baseline)
    same = np.abs(gain) <= 1e-12
    wins, losses = (gain > 0) & ~same, (gain < 0) & ~same
    by_size = np.argsort(-gain, kind="stable")
    return Difference(
        name=about.name,
        baseline=float(before @ per_prompt),
        candidate=float(after @ per_prompt),
        difference=float(found.value),
        ci=None if np.isnan(found.low) else (float(found.low), float(found.high)),
        p_value=float(test.p[place]),
        p_adjusted=p_adjusted,
        exact=test.exact,
        minimum_detectable=(
            minimum_detectable(float(np.sqrt(found.variance)), float(found.df), level) if known else None
        ),
        n_prompts=len(gain),
        wins=int(wins.sum()),
        losses=int(losses.sum()),
        ties=int(same.sum()),
        largest_gains=[_change(pair, i) for i in by_size[:SHOWN] if wins[i]],
        largest_losses=[_change(pair, i) for i in by_size[::-1][:SHOWN] if losses[i]],
    )


def _change(pair: Paired, prompt: int) -> PromptChange:
    return PromptChange(
        task=pair.tasks[int(pair.stratum[prompt])],
        item_id=pair.items[prompt],
        baseline=float(pair.baseline[prompt]),
        candidate=float(pair.candidate[prompt]),
    )
