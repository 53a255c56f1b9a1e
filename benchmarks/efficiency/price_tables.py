"""The prices of switches as Markdown: a table for each benchmark, and what its readers must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.efficiency.prices import POWER, Price
from lumina_eval.evaluation import Question
from lumina_eval.units import digits as places


@dataclass(frozen=True)
class Priced:
    """What all switches cost on one benchmark, and how much faster they are."""

    question: Question
    prices: Sequence[Price]
    faster: Mapping[str, float | None]
    """Of each switch, by name; None if it was not timed."""


def table(found: Priced, title: str, device: str, batch: int) -> list[str]:
    """Return the table of one benchmark; ``title`` names the checkpoint, ``batch`` is that of the timings."""
    first, question, selection = found.prices[0], found.question, found.question.selection
    digits = places(first.unit)
    how_much = selection.subset or f"suite {selection.suite}"
    scored = f"{question.benchmark.name} {question.protocol.name} {first.metric}, {how_much}"
    less = f" ({first.unit}: less is better)" if first.lower_is_better else ""
    paired = "" if first.pairs == "prompts" else f", paired in {first.n_pairs} {first.pairs}"
    margin = "verdict" if first.margin is None else f"margin {first.margin:g}"
    return [
        f"## {title}: {scored}",
        "",
        f"{len(selection.items)} prompts x {selection.images_per_prompt} images under each{paired}; exact: "
        f"{first.score - first.difference:.{digits}f}{less}. {device}, batch {batch}.",
        "",
        f"| switch | times faster | {first.metric} | difference | 95 % | {margin} | power "
        f"| prompts for {POWER:g} |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
        *(_row(row, found.faster[row.name], digits) for row in found.prices),
        "",
        *([] if first.margin is not None else [_no_margin(first), ""]),
    ]


def notes(found: Sequence[Priced], command: str) -> list[str]:
    """Return what stands below all tables; ``command`` measures the same on another checkpoint."""
    timed = any(seen is not None for one in found for seen in one.faster.values())
    seen = "" if timed else " Nothing was timed (--repeats 0)."
    return [
        "Differences are switch minus exact, paired by prompt, on the same noise. worse, better: the "
        "sign-flip test over all switches together (5 %). equivalent, not worse: the interval lies within "
        "the margin, or above its lower end; a difference that was shown and lies within the margin is both. "
        "power: the chance that so many prompts show a switch that costs nothing to be equivalent (two "
        "one-sided t tests, 2.5 % each), about, since the interval is widened where few prompts differ; a "
        f"dash where it is unknown, as where no prompt differs.{seen}",
        "",
        "None of this transfers to 2.6B: what a switch costs hangs on the weights, the size and the prompts. "
        "There it is measured by the same command:",
        "",
        "```",
        command,
        "```",
    ]


def _no_margin(first: Price) -> str:
    return (
        f"{first.metric} has no range that --margin could be a share of: it is compared without a margin, so "
        "undecided means that no difference was shown, and neither equivalence nor a power can be told."
    )


def _row(row: Price, faster: float | None, digits: int) -> str:
    ci = "—" if row.ci is None else f"{row.ci[0]:+.{digits}f} to {row.ci[1]:+.{digits}f}"
    cells = [row.name, _number(faster, ".2f", "x"), f"{row.score:.{digits}f}",
             f"{row.difference:+.{digits}f}", ci, row.verdict, _number(row.power, ".2f"),
             _number(row.needed, ",")]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "—" if value is None else f"{value:{form}}{unit}"
