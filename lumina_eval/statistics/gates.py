"""Gates: a number turned into pass, fail, or `these prompts cannot tell`."""

from __future__ import annotations

from typing import Final, Protocol

from lumina_eval.records import Interval
from lumina_eval.statistics.comparison import Comparison, Gate

MOST_AT_MARGIN: Final = "3.2 %"
"""How often a candidate at the margin passes in the worst world of the table in docs/statistics.md."""


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

    With a margin the printed interval of the primary difference decides, turned so that more is better:
    `passed` if it lies wholly above -margin, `failed` if wholly below, else `undecided`. At a level of 95 %
    a candidate that is worse by exactly the margin passes, or fails, by chance in about 2.5 % of runs each;
    in our simulation it passes in `MOST_AT_MARGIN` at most, where few prompts decide.
    Without a margin the sign-flip test decides: `passed` if significantly better, `failed` if significantly
    worse, else `undecided`.
    """
    if comparison.margin is None:
        if not comparison.significant:
            return "undecided"
        return "passed" if comparison.verdict == "better" else "failed"
    gain = comparison.gain
    if gain is None:
        return "undecided"
    low, high = gain
    return "passed" if low > -comparison.margin else "failed" if high < -comparison.margin else "undecided"
