"""The tables of a group of runs: one row a checkpoint, each value with its intervals, n and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from lumina_eval.units import COSTS
from reports.groups import Group, metric_of
from reports.loading import RunView
from reports.numbers import count, percent
from reports.provenance import provenance
from reports.table import Cell, Column, Row, RowKind, Table, interval

#: Columns beside the row names in one table; more metrics go on in the next one.
WIDEST: Final = 7

NOTE_SEEDS: Final = "seeds: 95 % interval with the prompts fixed and the noise drawn again (ci_seeds)."
NOTE_PROMPTS: Final = "prompts: 95 % interval with the prompts drawn again as well (ci_prompts)."
NOTE_SPLITS: Final = (
    "seen, unseen: the same score over prompts whose compositions were, or were not, in the training set, "
    "over the tasks that have both kinds; so the score over all tasks may lie above both, or below."
)
NOTE_CEILING: Final = (
    "The ceiling is no model: it is ground-truth images under the same judge, the most that can be measured."
)


def overview(group: Group) -> Table:
    """The headline: primary metric, its splits, n and coverage of each run; ceilings last."""
    columns = [
        Column("checkpoint", numeric=False),
        Column("step", unit="count"),
        _column(group, group.primary),
        *(_column(group, name) for name in group.beside()),
        *(_column(group, name, name.split("/")[0]) for name in group.splits()),
        *(Column(f"{name} timed" if group.timed else name, unit="count") for name in ("prompts", "images")),
        *([] if group.timed else [Column("coverage")]),
    ]
    rows = []
    for run in (*group.stages, *group.ceilings):
        metric = metric_of(run, group.primary)
        cells = [
            name_cell(group, run),
            Cell(value=run.result.step),
            metric_cell(metric),
            *(metric_cell(metric_of(run, name)) for name in (*group.beside(), *group.splits())),
            Cell(value=metric.n_prompts) if metric else Cell.missing(),
            Cell(value=metric.n_images) if metric else Cell.missing(),
            *([] if group.timed else [coverage_cell(run)]),
        ]
        rows.append(_row(run, cells))
    notes = [
        *group.notes,
        *_interval_notes(rows),
        *([NOTE_SPLITS] if group.splits() else []),
        *([NOTE_CEILING] if group.ceilings else []),
    ]
    return _table(group, group.title, columns, rows, notes)


def parts(group: Group) -> tuple[Table, ...]:
    """The metrics beside the primary one (GenEval: its tasks), at most seven a table."""
    names = group.parts()
    tables = []
    for start in range(0, len(names), WIDEST):
        chosen = names[start : start + WIDEST]
        columns = [Column("checkpoint", numeric=False), *(_column(group, name) for name in chosen)]
        rows = [
            _row(run, [name_cell(group, run), *(metric_cell(metric_of(run, name)) for name in chosen)])
            for run in (*group.stages, *group.ceilings)
        ]
        tables.append(_table(group, f"{group.title}, {group.parts_by}", columns, rows, _interval_notes(rows)))
    return tuple(tables)


def scale(group: Group) -> tuple[float, float] | None:
    """The range on which intervals are drawn; None for unbounded units."""
    units = {metric.unit for run in group.runs for metric in run.result.metrics}
    return {frozenset({"fraction"}): (0.0, 1.0), frozenset({"percent"}): (0.0, 100.0)}.get(frozenset(units))


def name_cell(group: Group, run: RunView) -> Cell:
    """The cell that names a row."""
    note = run.result.checkpoint or run.manifest.checkpoint
    return Cell(group.label(run), note=note)


def metric_cell(metric: Metric | None) -> Cell:
    """A value with both of its named intervals; the tooltip says on how much it stands."""
    if metric is None or metric.value is None:
        return Cell.missing("not measured")
    return Cell(
        value=metric.value,
        intervals=interval("seeds", metric.ci_seeds) + interval("prompts", metric.ci_prompts),
        note=f"{metric.name}: {count(metric.n_prompts)} prompts, {count(metric.n_images)} images",
    )


def coverage_cell(run: RunView) -> Cell:
    """Judged of expected images; what failed or was excluded is said in the cell itself."""
    cover = run.result.coverage
    text = percent(cover.judged, cover.expected)
    said = ((cover.failed, "failed"), (cover.excluded, "excluded"))
    gaps = [f"{number} {word}" for number, word in said if number]
    note = f"{count(cover.judged)} judged of {count(cover.expected)} expected images"
    return Cell(
        f"{text} ({', '.join(gaps)})" if gaps else text,
        cover.judged / cover.expected if cover.expected else None,
        note=note,
    )


def _table(
    group: Group, caption: str, columns: Sequence[Column], rows: Sequence[Row], notes: Sequence[str]
) -> Table:
    return Table(
        caption,
        tuple(columns),
        tuple(rows),
        tuple(notes),
        provenance=provenance(group.runs, group.label),
        scale=scale(group),
        mark=group.mark,
    )


def _row(run: RunView, cells: Sequence[Cell]) -> Row:
    kind: RowKind = "ceiling" if run.is_ceiling else "measured"
    return Row(tuple(cells), kind, run=run.manifest.run_id)


def _column(group: Group, name: str, label: str | None = None) -> Column:
    text, unit = (label or name).replace("_", " "), group.unit_of(name)
    if unit in COSTS and unit.lower() not in text:
        text += f" ({unit})"
    return Column(text, group.direction(name), unit, note=name)


def _interval_notes(rows: Sequence[Row]) -> list[str]:
    """Explain the intervals that a table shows."""
    shown = {found.name for row in rows for cell in row.cells for found in cell.intervals}
    return [note for name, note in (("seeds", NOTE_SEEDS), ("prompts", NOTE_PROMPTS)) if name in shown]
