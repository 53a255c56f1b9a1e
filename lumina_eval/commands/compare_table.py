"""A comparison for people at a terminal: what differs, by how much, where, and at what cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lumina_eval.records import Interval
from lumina_eval.statistics.comparison import Comparison
from lumina_eval.statistics.contrast import Difference
from lumina_eval.statistics.pareto import Cost
from lumina_eval.statistics.power import in_words
from lumina_eval.statistics.selection import Choice
from lumina_eval.units import digits as places

#: Seconds of fewer images say how many these are: the first ones pay for the start.
_FEW_IMAGES: Final = 20


def limits(ci: Interval | None, digits: int) -> str:
    """The ends of an interval of a difference."""
    return "-" if ci is None else f"{ci[0]:+.{digits}f} to {ci[1]:+.{digits}f}"


def counts(row: Difference) -> str:
    """Prompts won, lost and tied."""
    return f"{row.wins}/{row.losses}/{row.ties}"


def comparison_tables(compared: Sequence[Comparison]) -> Iterator[Table]:
    """A table for each candidate: the primary endpoint, and the tasks below it."""
    for one in compared:
        less = ", less is better" if one.lower_is_better else ""
        within = "" if one.margin is None else f", margin {one.margin:g}"
        digits = places(one.unit)
        table = Table(
            title=f"{one.candidate} minus {one.baseline}{less}{within}: {one.verdict}",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        table.add_column("", overflow="fold")
        for name in ("baseline", "run", "difference", "95 % prompts", "won/lost/tied", "p", "detectable"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in (one.primary, *one.tasks):
            least = row.minimum_detectable
            table.add_row(
                row.name if row is one.primary else f"  {row.name}",
                f"{row.baseline:.{digits}f}",
                f"{row.candidate:.{digits}f}",
                f"{row.difference:+.{digits}f}",
                limits(row.ci, digits),
                counts(row),
                f"{row.p_adjusted:.4f}",
                "-" if least is None else in_words(least, one.unit, digits),
            )
        yield table


def legend(compared: Sequence[Comparison]) -> Iterator[str]:
    """What the columns are."""
    if not compared[0].published:
        yield "The benchmark has no score over all categories; the first row is their unweighted mean."
    over = ", and over the runs" if len(compared) > 1 else ""
    yield f"won/lost/tied: {compared[0].pairs}. p: sign-flip test, corrected over categories{over}."
    yield (
        "detectable: the true difference that would have been seen with power 0.8; none where it is more "
        "than the whole range."
    )


def costs_of(compared: Sequence[Comparison]) -> list[tuple[str, float, Cost | None]]:
    """Name, score and cost of every run, the baseline first."""
    first = compared[0]
    others = [(one.candidate, one.primary.candidate, one.candidate_cost) for one in compared]
    return [(first.baseline, first.primary.baseline, first.baseline_cost), *others]


def front_table(compared: Sequence[Comparison]) -> Table:
    """Score against seconds per image; a star marks the front."""
    first = compared[0]
    table = Table(title="score and cost", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    table.add_column(first.primary.name, justify="right")
    table.add_column("seconds per image", justify="right")
    table.add_column("Pareto front", justify="center")
    for name, value, cost in costs_of(compared):
        seconds = "-" if cost is None else cost.in_words
        star = "*" if cost is not None and cost.on_front else ""
        table.add_row(name, f"{value:.{places(first.unit)}f}", seconds, star)
    return table


def few_images(compared: Sequence[Comparison], shown: Callable[[str], str] = str) -> str | None:
    """Say of how many images the seconds are where they are few; None where no run's are.

    ``shown`` makes the name of a run fit for the page.
    """
    known = [(name, cost.images_made) for name, _, cost in costs_of(compared) if cost is not None]
    few = [f"{made} of {shown(name)}" for name, made in known if made is not None and 0 < made < _FEW_IMAGES]
    if not few:
        return None
    return f"Seconds per image are of few images ({', '.join(few)}), and the first of them pay for the start."


def best_lines(choice: Choice, metric: str, digits: int) -> Iterator[str]:
    """Say which run was chosen, and what it scores where it was not chosen."""
    ci = choice.reported.ci_prompts
    held = "" if ci is None else f" (95 % prompts {ci[0]:.{digits}f} to {ci[1]:.{digits}f})"
    yield (
        f"best of {len(choice.chosen_on)}: {choice.name}, {metric} {choice.reported.value:.{digits}f}{held} "
        f"on the {choice.reported.n_prompts} prompts that did not choose it"
    )
    chosen_on = ", ".join(f"{name} {value:.{digits}f}" for name, value in choice.chosen_on.items())
    yield f"on the half that chose, which flatters the winner: {chosen_on}"
