"""Successive checkpoints compared, paired by prompt: the overall score first, then where it comes from."""

from __future__ import annotations

import itertools
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.statistics.comparison import Comparison, compare
from lumina_eval.statistics.contrast import Difference
from lumina_eval.statistics.endpoint import endpoint_of
from lumina_eval.statistics.power import in_words
from reports.groups import NOTE_MEAN, Group
from reports.loading import RunView
from reports.numbers import count, digits, fixed, p_value
from reports.provenance import provenance
from reports.stage_tables import WIDEST
from reports.table import Cell, Column, Footnote, Row, Table, interval

ALPHA: Final = 0.05
NOTE_TEST: Final = "p: two-sided studentised sign-flip test over prompts, one endpoint per comparison."
NOTE_MDE: Final = (
    "detectable: the true difference that these prompts would have shown with power 0.8; none where it is "
    "more than the whole range of the score. "
    "pairs: prompts (groups of prompts for a measure of whole sets) on which the later checkpoint is better, "
    "worse, or the same."
)
NOTE_HOLM: Final = "Differences with their 95 % interval over prompts."
SIGNIFICANT: Final = Footnote("*", "p ≤ 0.05")
SIGNIFICANT_HOLM: Final = Footnote(
    "*", "p ≤ 0.05 after Holm's correction over the categories of a comparison"
)


def paired(group: Group) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """Compare each checkpoint with the one before it, and the last with the first where there are more.

    Returns the tables (none if there is nothing to compare): one for the primary metric, then categories.
    Beside them, what could not be compared and why.
    """
    compared: list[Comparison] = []
    problems: list[str] = []
    for before, after in _pairs(() if group.timed else group.milestones):
        names = (group.label(before), group.label(after))
        try:
            compared.append(_compare(group, before, after, names))
        except UserError as error:
            problems.append(f"{names[0]} and {names[1]} are not compared: {error}")
    if not compared:
        return (), tuple(problems)
    known = list(dict.fromkeys(task.name for found in compared for task in found.tasks))
    tasks = sorted(known, key=[*group.metric_names(), *known].index)  # in the order of the tables above
    chunks = [tasks[start : start + WIDEST] for start in range(0, len(tasks), WIDEST)]
    tables = (_primary(group, compared), *(_parts(group, compared, chunk) for chunk in chunks))
    return tables, tuple(problems)


def _pairs(runs: tuple[RunView, ...]) -> list[tuple[RunView, RunView]]:
    pairs = list(itertools.pairwise(runs))
    return [*pairs, (runs[0], runs[-1])] if len(runs) > 2 else pairs


def _compare(group: Group, before: RunView, after: RunView, names: tuple[str, str]) -> Comparison:
    """Compare with the weights that the metric itself is made with; UserError if it is no mean of scores."""
    endpoint = endpoint_of([(run.result, run.scores) for run in (before, after)])
    return compare(before.scores, after.scores, names=names, endpoint=endpoint)


def _primary(group: Group, compared: list[Comparison]) -> Table:
    columns = (
        Column("comparison", numeric=False),
        Column("before", unit=group.unit),
        Column("after", unit=group.unit),
        Column("difference", unit=group.unit, signed=True),
        Column("p"),
        Column("detectable", unit=group.unit),
        *(Column(name, unit="count", group="pairs") for name in ("won", "lost", "tied")),
    )
    rows = []
    for found in compared:
        one = found.primary
        cells = (
            Cell(_title(found)),
            Cell(value=one.baseline),
            Cell(value=one.candidate),
            _difference(group, one),
            Cell(p_value(one.p_adjusted), one.p_adjusted),
            _detectable(group, one.minimum_detectable),
            *(Cell(value=number) for number in (one.wins, one.losses, one.ties)),
        )
        rows.append(Row(cells))
    lower = " (less is better)" if group.direction(group.primary) == "lower" else ""
    primary = ", ".join(dict.fromkeys(found.primary.name for found in compared))
    caption = f"Is the later checkpoint better? Paired by prompt, {primary}{lower}"
    notes = (NOTE_TEST, NOTE_MDE, *(() if all(found.published for found in compared) else (NOTE_MEAN,)))
    return _table(group, caption, columns, rows, notes, SIGNIFICANT)


def _parts(group: Group, compared: list[Comparison], tasks: list[str]) -> Table:
    columns = (
        Column("comparison", numeric=False),
        *(Column(t.replace("_", " "), unit=group.unit, note=t, signed=True) for t in tasks),
    )
    rows = []
    for found in compared:
        known = {task.name: task for task in found.tasks}
        cells = [_difference(group, known[t]) if t in known else Cell.missing() for t in tasks]
        rows.append(Row((Cell(_title(found)), *cells)))
    return _table(group, "Paired differences by category", columns, rows, (NOTE_HOLM,), SIGNIFICANT_HOLM)


def _table(
    group: Group,
    caption: str,
    columns: tuple[Column, ...],
    rows: list[Row],
    notes: tuple[str, ...],
    significant: Footnote,
) -> Table:
    origin = provenance(group.stages, group.label)
    return Table(caption, columns, tuple(rows), notes, (significant,), origin, mark=group.mark)


def _title(found: Comparison) -> str:
    return f"{found.baseline} → {found.candidate}"


def _detectable(group: Group, least: float | None) -> Cell:
    return Cell(None if least is None else in_words(least, group.unit, digits(group.unit)), least)


def _difference(group: Group, found: Difference) -> Cell:
    places = digits(group.unit)
    return Cell(
        value=found.difference,
        intervals=interval("prompts", found.ci),
        note=f"{found.name}: {fixed(found.baseline, places)} to {fixed(found.candidate, places)}, "
        f"p {p_value(found.p_adjusted)}, {count(found.n_prompts)} prompts",
        marks=(SIGNIFICANT.mark,) if found.p_adjusted <= ALPHA else (),
    )
