"""The answer of a report on several benchmarks: a row for each checkpoint, a column for each benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from reports.document import Section
from reports.groups import Group, metric_of
from reports.loading import RunView
from reports.numbers import count
from reports.stage_tables import metric_cell
from reports.table import Cell, Column, Footnote, Row, Table

Checkpoint = tuple[str, str | None, int | None]


def across(sections: Sequence[Section]) -> Table | None:
    """Return the primary metric of every checkpoint in every section; None for a single section.

    A checkpoint is the same where title, digest and step are. What a column is limited to (a subset, other
    texts) is a footnote of it; each leads to its section.
    """
    if len(sections) < 2:
        return None
    rows = _checkpoints([section.group for section in sections])
    columns, notes = [Column("checkpoint", numeric=False)], []
    titles = [section.title for section in sections]
    for number, section in enumerate(sections, 1):
        column, note = _column(section, number, alone=titles.count(section.title) == 1)
        columns.append(column)
        notes += note
    made = []
    for names, ceiling in ((rows, False), (rows, True)):
        for key, label in names.items():
            found = [_run(section.group, key) for section in sections]
            if any(run is not None and run.is_ceiling == ceiling for run in found):
                cells = [_cell(section, run) for section, run in zip(sections, found, strict=True)]
                made.append(Row((Cell(label), *cells), "ceiling" if ceiling else "measured"))
    caption = "Every checkpoint on every benchmark"
    told = ["Each number links to its section, where its intervals, n and coverage stand."]
    told += [f"{section.title}: {note}" for section in sections for note in section.group.notes]
    return Table(caption, tuple(columns), tuple(made), tuple(told), tuple(notes))


def _checkpoints(groups: Sequence[Group]) -> dict[Checkpoint, str]:
    """Return the name of each checkpoint, in order of first appearance; alike names get step and digest."""
    runs = {
        _key(run): run for group in reversed(groups) for run in reversed((*group.stages, *group.ceilings))
    }
    ordered = dict.fromkeys(_key(run) for group in groups for run in (*group.stages, *group.ceilings))
    lines = {run.title.partition(":")[0] for run in runs.values() if not run.is_ceiling}
    labels: dict[Checkpoint, str] = {}
    for key in ordered:
        title, digest, step = key
        same = [other for other in ordered if other[0] == title]
        line, _, rest = title.partition(":")
        text = rest if rest and lines == {line} else title  # the stage alone where all are of one model
        if len({other[2] for other in same}) > 1:
            text += f" @ {count(step)}"
        if sum(other[2] == step for other in same) > 1:
            text += f" #{(digest or 'unknown')[:6]}"
        labels[key] = text
    return labels


def _key(run: RunView) -> Checkpoint:
    return (run.title, run.result.digest or run.manifest.digest, run.result.step)


def _run(group: Group, key: Checkpoint) -> RunView | None:
    """Return the last run of a checkpoint in a group."""
    return next((run for run in reversed(group.runs) if _key(run) == key), None)


def _column(section: Section, number: int, *, alone: bool) -> tuple[Column, list[Footnote]]:
    group = section.group
    marks = (str(number),) if group.mark else ()
    note = f"{section.title}, {group.primary}" + (f"; {group.mark}" if group.mark else "")
    label = f"{section.title} {group.primary.replace('_', ' ')}" + ("" if alone else f" ({number})")
    column = Column(label, group.direction(group.primary), group.unit, note=note, marks=marks)
    return column, [Footnote(mark, group.mark) for mark in marks]


def _cell(section: Section, run: RunView | None) -> Cell:
    if run is None:
        return Cell.missing("not run")
    found = metric_cell(metric_of(run, section.group.primary))
    return Cell(found.text, found.value, found.intervals, found.note, found.marks, f"#{section.anchor}")
