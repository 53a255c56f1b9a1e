"""The reader's own runs as rows in the columns of a published table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from reports.groups import metric_of
from reports.loading import RunView
from reports.paper.checkpoint_facts import facts
from reports.paper.entrants import SECTIONS, Entrant, has_metric
from reports.paper.footnotes import Footnotes
from reports.paper.precision import WHOLE
from reports.paper.published import PublishedColumn, PublishedTable
from reports.table import Cell, Row, interval

#: Line above the checkpoints in a table of configurations.
CHECKPOINTS: Final = "your checkpoints"


def used(runs: Sequence[RunView], table: PublishedTable) -> list[RunView]:
    """Return the runs that have a number, or a checkpoint with a fact, of this table."""
    refs = [column.metric for column in table.columns if column.metric]
    if refs:
        return [run for run in runs if any(has_metric(run, ref) for ref in refs)]
    wanted = {column.fact for column in table.columns} - {"name", "stage"}
    return [
        run
        for run in runs
        if any(cell != Cell(note=cell.note) for fact, cell in facts(run).items() if fact in wanted)
    ]


def measured_row(entrant: Entrant, table: PublishedTable, footnotes: Footnotes) -> Row:
    """Return the numbers of a checkpoint; its name carries a mark for each reason that sets it apart."""
    known = facts(entrant.runs[0])
    marks = tuple(footnotes.mark(reason) for reason in entrant.reasons)
    name = Cell(entrant.label, note=entrant.runs[0].manifest.checkpoint, marks=marks)
    cells = [_measured(entrant, column, known) for column in table.columns[1:]]
    ids = ", ".join(run.manifest.run_id for run in entrant.runs)
    return Row((name, *cells), entrant.kind, SECTIONS[entrant.standing], ids)


def checkpoint_rows(runs: Sequence[RunView], table: PublishedTable) -> list[Row]:
    """Return a row for each checkpoint, however many benchmarks it ran on."""
    rows: dict[tuple[object, ...], Row] = {}
    for run in runs:
        known = facts(run)
        cells = tuple(known.get(column.fact or "", Cell()) for column in table.columns)
        key = (run.title, run.manifest.digest or run.manifest.checkpoint, run.manifest.step)
        rows.setdefault(key, Row(cells, section=CHECKPOINTS))
    return list(rows.values())


def metric_for(entrant: Entrant, column: PublishedColumn) -> Metric | None:
    """Return a checkpoint's metric for a column, None where it has no value."""
    run = entrant.run_for(column.metric) if column.metric else None
    return metric_of(run, column.metric.name) if run and column.metric else None


def in_unit(value: float, metric: Metric, column: PublishedColumn) -> float:
    """Return a run's value in the unit of the published column."""
    return value if metric.unit == column.unit else value / WHOLE[metric.unit] * WHOLE[column.unit]


def _measured(entrant: Entrant, column: PublishedColumn, known: dict[str, Cell]) -> Cell:
    if column.metric is None:
        return known.get(column.fact or "", Cell())
    metric = metric_for(entrant, column)
    if metric is None or metric.value is None:
        return Cell.missing("not measured")
    seeds = metric.ci_seeds
    bounds = None if seeds is None else (in_unit(seeds[0], metric, column), in_unit(seeds[1], metric, column))
    return Cell(
        value=in_unit(metric.value, metric, column),
        intervals=interval("seeds", bounds),
        note=f"{metric.name}: {metric.n_prompts:,} prompts, {metric.n_images:,} images",
    )
