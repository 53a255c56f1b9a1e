"""The tables of a group of runs: one row a checkpoint, each value with its intervals, n and coverage."""

from __future__ import annotations

from typing import Final

from lumina_eval.records import Metric
from reports.groups import LOWER_IS_BETTER, Group, metric_of
from reports.loading import RunView
from reports.numbers import count, digits, fixed, interval, percent
from reports.table import Cell, Direction, HeaderCell, Row, Table, mark_best

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
    header = [
        HeaderCell("checkpoint", numeric=False),
        HeaderCell("step"),
        _header(group.primary),
        *(_header(name, name.split("/")[0]) for name in group.splits()),
        HeaderCell("prompts"),
        HeaderCell("images"),
        HeaderCell("coverage"),
    ]
    rows = []
    for run in (*group.stages, *group.ceilings):
        metric = metric_of(run, group.primary)
        cells = [
            name_cell(group, run),
            Cell(count(run.result.step), run.result.step),
            metric_cell(metric),
            *(metric_cell(metric_of(run, name)) for name in group.splits()),
            Cell(count(metric.n_prompts), metric.n_prompts) if metric else Cell.missing(),
            Cell(count(metric.n_images), metric.n_images) if metric else Cell.missing(),
            coverage_cell(run),
        ]
        rows.append(Row(tuple(cells), "ceiling" if run.is_ceiling else "measured"))
    notes = [
        *_interval_notes(group),
        *([NOTE_SPLITS] if group.splits() else []),
        *([NOTE_CEILING] if group.ceilings else []),
    ]
    return mark_best(Table(group.title, tuple(header), tuple(rows), tuple(notes), scale(group), group.mark))


def parts(group: Group) -> tuple[Table, ...]:
    """The metrics beside the primary one (GenEval: its tasks), at most seven a table."""
    names = group.parts()
    tables = []
    for start in range(0, len(names), WIDEST):
        chosen = names[start : start + WIDEST]
        header = (HeaderCell("checkpoint", numeric=False), *(_header(name) for name in chosen))
        rows = [
            Row(
                (name_cell(group, run), *(metric_cell(metric_of(run, name)) for name in chosen)),
                "ceiling" if run.is_ceiling else "measured",
            )
            for run in (*group.stages, *group.ceilings)
        ]
        caption = f"{group.title}, by category"
        notes = tuple(_interval_notes(group))
        tables.append(mark_best(Table(caption, header, tuple(rows), notes, scale(group), group.mark)))
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
    places = digits(metric.unit)
    return Cell(
        fixed(metric.value, places),
        metric.value,
        interval("seeds", metric.ci_seeds, places) + interval("prompts", metric.ci_prompts, places),
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


def _header(name: str, label: str | None = None) -> HeaderCell:
    direction: Direction = "lower" if name.split("/")[-1] in LOWER_IS_BETTER else "higher"
    return HeaderCell((label or name).replace("_", " "), direction, note=name)


def _interval_notes(group: Group) -> list[str]:
    metrics = [metric for run in group.runs for metric in run.result.metrics]
    notes = [NOTE_SEEDS] if any(m.ci_seeds for m in metrics) else []
    return [*notes, NOTE_PROMPTS] if any(m.ci_prompts for m in metrics) else notes
