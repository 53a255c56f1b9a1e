"""How far the reader's own runs are from the published row of the model that the paper is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.loading import RunView
from reports.numbers import fixed, signed
from reports.paper import printed
from reports.paper.entrants import Entrant
from reports.paper.footnotes import Footnotes
from reports.paper.own_rows import in_unit, metric_for
from reports.paper.precision import combined, measured_error
from reports.paper.published import PublishedColumn, PublishedTable, Settings
from reports.table import Cell, Column, Footnote, Row, Table

NOTE: Final = (
    "Your run less the published number, ± the standard error of the difference: the bound of the published "
    "number and your run's own, from ci_seeds, together."
)
RESOLVED: Final = Footnote("*", "more than twice its standard error")


def difference(table: PublishedTable, entrants: Sequence[Entrant]) -> Table | None:
    """Return the differences of runs that may be compared to the reference row, with their standard errors.

    None where no run may be compared, or where the table has no reference.
    """
    if table.reference is None or not entrants:
        return None
    reference = [row for _, row in table.rows()][table.reference - 1]
    known = [
        (column, value)
        for column, value in zip(table.columns, reference, strict=True)
        if column.metric and not isinstance(value, str)
    ]
    columns = [
        Column(
            column.label,
            unit=column.unit,
            digits=printed.places(column),
            signed=True,
            group=column.group,
        )
        for column, _ in known
    ]
    settings = table.settings_of(reference) or Settings()
    footnotes = Footnotes()
    rows = []
    for entrant in entrants:
        marks = tuple(footnotes.mark(text) for run in entrant.runs for text in other_settings(settings, run))
        name = Cell(entrant.label, marks=tuple(dict.fromkeys(marks)))
        cells = (_less(entrant, column, value) for column, value in known)
        rows.append(Row((name, *cells), run=", ".join(run.manifest.run_id for run in entrant.runs)))
    notes = (NOTE, f"The published row: {printed.told(settings)}.")
    caption = f"Your runs less {printed.row_name(table, table.reference)} as published"
    header = (Column("run", numeric=False), *columns)
    return Table(caption, header, tuple(rows), notes, (RESOLVED, *footnotes.all()))


def other_settings(settings: Settings, run: RunView) -> list[str]:
    """Say which published settings, of those that are known, a run does not share."""
    made = run.manifest
    own = {
        "rewritten": made.rewriting is not None,
        "images_per_prompt": made.images_per_prompt,
        "steps": made.sampling.get("steps"),
        "guidance": made.sampling.get("guidance"),
        "system_prompt": made.sampling.get("system_prompt"),
        "judge": made.judge.partition("@")[0],
    }
    published = settings.model_dump()
    return [
        f"{printed.NAMES[key]}: published {printed.word(published[key])}, here {printed.word(value)}"
        for key, value in own.items()
        if published[key] is not None and published[key] != value
    ]


def _less(entrant: Entrant, column: PublishedColumn, value: float) -> Cell:
    metric = metric_for(entrant, column)
    if metric is None or metric.value is None:
        return Cell.missing("not measured")
    found = in_unit(metric.value, metric, column) - value
    own = measured_error(metric)
    error = combined(None if own is None else in_unit(own, metric, column), printed.error_of(column, value))
    places = printed.places(column)
    text = signed(found, places) + (f" ± {fixed(error, places)}" if error is not None else "")
    large = error is not None and abs(found) > printed.RESOLVED * error
    return Cell(text, found, marks=(RESOLVED.mark,) if large else ())
