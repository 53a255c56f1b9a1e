"""How many prompts and images it takes to see a difference, and what a protocol's own prompts can see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from lumina_eval.records import Record
from lumina_eval.statistics.comparison import Comparison
from lumina_eval.statistics.components import Components
from lumina_eval.statistics.power import POWER, minimum_detectable, prompts_needed

IMAGES_PER_PROMPT: Final = (1, 2, 4, 8)


class PlanRow(Record):
    """One choice of images per prompt."""

    images_per_prompt: int
    prompts: int
    """Needed, in the proportions of tasks that the runs have."""
    images: int
    """Of each checkpoint."""
    hours: float | None
    """Of one checkpoint; None if the seconds of an image are unknown."""
    smallest_difference: float | None
    """What the prompts at hand see with these images; None if their number is unknown."""


class Plan(Record):
    """What it takes to see `effect`."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    question: Literal["difference", "margin"]
    effect: float
    power: float
    level: float
    source: str
    runs: int = 0
    """Runs that the variances were taken from."""
    variance_prompts: float
    variance_images: float
    prompts_at_hand: int | None
    """Of the protocol or of the runs."""
    smallest_possible: float | None
    """What the prompts at hand would see with endlessly many images."""
    seconds_per_image: float | None
    rows: list[PlanRow]


def plan(
    effect: float,
    components: Components,
    *,
    question: Literal["difference", "margin"] = "difference",
    prompts_at_hand: int | None = None,
    seconds_per_image: float | None = None,
    power: float = POWER,
    level: float = 0.95,
    images_per_prompt: Sequence[int] = IMAGES_PER_PROMPT,
) -> Plan:
    """Return the table of choices.

    For a margin the question is non-inferiority of a checkpoint that is in truth equally good: the interval
    must end above -margin, which takes as much as to see a difference of that size.
    """
    rows = []
    for images in images_per_prompt:
        variance = components.of_prompt(images)
        prompts = prompts_needed(effect, variance, components.df_ratio, level, power)
        hours = None if seconds_per_image is None else prompts * images * seconds_per_image / 3600
        least = _least(variance, components.df_ratio, prompts_at_hand, level, power)
        rows.append(
            PlanRow(
                images_per_prompt=images,
                prompts=prompts,
                images=prompts * images,
                hours=hours,
                smallest_difference=least,
            )
        )
    return Plan(
        question=question,
        effect=effect,
        power=power,
        level=level,
        source=components.source,
        runs=components.runs,
        variance_prompts=components.prompts,
        variance_images=components.images,
        prompts_at_hand=prompts_at_hand,
        smallest_possible=_least(components.prompts, components.df_ratio, prompts_at_hand, level, power),
        seconds_per_image=seconds_per_image,
        rows=rows,
    )


def prompts_to_decide(comparison: Comparison) -> int | None:
    """Return about how many prompts would decide a comparison that is undecided; None if there is no number.

    With a margin, if both are equally good in truth; without one, if they differ as they seem to.
    """
    primary = comparison.primary
    target = comparison.margin if comparison.margin is not None else abs(primary.difference)
    if primary.minimum_detectable is None or target == 0 or not comparison.plannable:
        return None
    return math.ceil(primary.n_prompts * (primary.minimum_detectable / target) ** 2)


def _least(variance: float, df_ratio: float, prompts: int | None, level: float, power: float) -> float | None:
    if prompts is None or prompts < 2:
        return None
    df = max((prompts - 1) * df_ratio, 1.0)
    return minimum_detectable(math.sqrt(variance / prompts), df, level, power)
