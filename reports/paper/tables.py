"""A table of the paper, with the reader's own runs as further rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reports.groups import in_training_order
from reports.loading import RunView, load_runs
from reports.paper import own_rows, printed
from reports.paper.difference import difference
from reports.paper.entrants import entrants
from reports.paper.footnotes import Footnotes
from reports.paper.published import PublishedTable
from reports.paper.published_files import published
from reports.paper.ratings import is_ratings, rating_rows
from reports.provenance import making, rules
from reports.table import Table

NOTE_SEEDS: Final = "Intervals of your runs: 95 %, the prompts fixed and the noise drawn again (ci_seeds)."
NOTE_RATED: Final = "Intervals of your ratings: 95 %, as arena rate gives them."
NOTE_STEPS: Final = "Steps of your runs are counted from the start of their first stage."
NOTE_RECIPE: Final = "Steps of your checkpoints are those that the recipe of their stage plans."


def tables(name: str, inputs: Sequence[Path]) -> dict[str, Table]:
    """Return the table called ``name`` and, where runs may be compared with it, ``<name>-difference``.

    ``inputs`` are run folders and, for leaderboards, files that ``arena rate --json`` printed; none is fine.
    What is neither is named in a note.
    Raises UserError for an unknown name, a broken run folder or file.
    """
    table = published(name)
    folders = [path for path in inputs if (path / "manifest.json").is_file()]
    others = [path for path in inputs if path not in folders]
    runs = in_training_order(load_runs(folders)) if folders else []
    used = own_rows.used(runs, table)
    footnotes = Footnotes()
    rows = printed.rows(table, footnotes)
    measured = any(column.metric for column in table.columns)
    found = entrants(used, table) if measured else ()
    rows += [own_rows.measured_row(entrant, table, footnotes) for entrant in found]
    rows += [] if measured else own_rows.checkpoint_rows(used, table)
    rated = [path for path in others if is_ratings(path)] if table.arena else []
    rows += [row for path in rated for row in rating_rows(path, table)]
    whole = Table(
        table.title,
        tuple(printed.column(column) for column in table.columns),
        tuple(rows),
        (
            f"Source: {table.source}.",
            *table.notes,
            *printed.precision_notes(table),
            *_notes(table, used),
            *([NOTE_RATED] if rated else []),
            *_left_out(
                [run for run in runs if run not in used], [path for path in others if path not in rated]
            ),
        ),
        footnotes.all(),
        _provenance(used) if measured else (),
    )
    apart = difference(table, [entrant for entrant in found if entrant.standing == "like"])
    return {name: whole} | ({} if apart is None else {f"{name}-difference": apart})


def _notes(table: PublishedTable, used: Sequence[RunView]) -> list[str]:
    asked = {column.fact for column in table.columns}
    notes = {
        NOTE_SEEDS: any(column.metric for column in table.columns),
        NOTE_STEPS: "kilosteps" in asked,
        NOTE_RECIPE: "stage_kilosteps" in asked,
    }
    return [note for note, fits in notes.items() if fits and used]


def _left_out(runs: Sequence[RunView], others: Sequence[Path]) -> list[str]:
    """Say what was given and yet has nothing of this table."""
    names = [f"{run.title} on {run.manifest.benchmark}/{run.manifest.protocol}" for run in runs]
    names += [path.name for path in others]
    return [f"Not shown, as there is nothing of this table in them: {', '.join(names)}."] if names else []


def _provenance(runs: Sequence[RunView]) -> tuple[str, ...]:
    """Where the runs' numbers come from: the rules of each benchmark, then how all images were made."""
    parts: dict[tuple[str, str], list[RunView]] = {}
    for run in runs:
        parts.setdefault((run.manifest.benchmark, run.manifest.protocol), []).append(run)
    lines = [rules(part, lambda run: run.title) for part in parts.values()]
    return (*lines, making(runs, lambda run: run.title)) if runs else ()
