"""Figure 10: scores against training steps, the published points of Table 8 beside the reader's own runs.

Each has panels of its own: steps are counted otherwise, and runs of the drawn world are on another scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reports.groups import in_training_order
from reports.loading import load_runs
from reports.paper.drawing import COLOURS, STYLE, label, save
from reports.paper.entrants import SECTIONS, Entrant, Standing, entrants
from reports.paper.own_rows import in_unit, metric_for, used
from reports.paper.published import PublishedColumn, PublishedTable
from reports.paper.published_files import published
from reports.paper.training_logs import TrainingLog, training_logs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME: Final = "figure10"
TITLES: Final[dict[Standing, str]] = SECTIONS
LOSS: Final = "loss"


def figure10(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Draw DPG and GenEval against training steps, and the loss where a run's training log is there.

    Columns: what Table 8 has, then the reader's runs, those that are not comparable in a column of their own.
    Returns an SVG and a PDF file. Runs without a step are counted below.
    """
    import matplotlib
    from matplotlib.figure import Figure

    table = published("table8")
    folders = [path for path in inputs if (path / "manifest.json").is_file()]
    runs = in_training_order(load_runs(folders)) if folders else []
    found = [one for one in entrants(used(runs, table), table) if one.runs[0].result.step is not None]
    logs = training_logs(inputs)
    standings = [standing for standing in SECTIONS if any(one.standing == standing for one in found)]
    rows = [column for column in table.columns if column.metric]
    size = (2.6 * (1 + max(len(standings), bool(logs))), 1.8 * (len(rows) + bool(logs)))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows) + bool(logs), 1 + max(len(standings), bool(logs)), squeeze=False)
        for axes, column in zip(grid, rows, strict=False):
            _printed(axes[0], table, column)
            for place, standing in enumerate(standings, 1):
                _own(axes[place], [one for one in found if one.standing == standing], column)
            for other in axes[1 + len(standings) :]:
                other.set_axis_off()
        if logs:
            _losses(grid[-1], logs)
        grid[0][0].set_title(f"as published\n{table.source}")
        for place, standing in enumerate(standings, 1):
            grid[0][place].set_title(TITLES[standing].replace(": ", ":\n"))
        if aside := sum(run.result.step is None for run in runs):
            told = f"{aside} of {len(runs)} runs know no training step and are not drawn"
            figure.supxlabel(told, fontsize="small")
        return save(figure, out, NAME)


def _printed(axes: Axes, table: PublishedTable, column: PublishedColumn) -> None:
    place = table.columns.index(column)
    stages: dict[str, list[tuple[float, float]]] = {}
    for _, row in table.rows():
        if not isinstance(row[1], str) and not isinstance(value := row[place], str):
            stages.setdefault(str(row[0]), []).append((row[1], value))
    for number, (stage, points) in enumerate(stages.items()):
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[number], label=stage, markersize=4)
    axes.set(xlabel="thousand steps of the stage", ylabel=column.label)
    axes.legend()


def _own(axes: Axes, found: Sequence[Entrant], column: PublishedColumn) -> None:
    lines: dict[str, list[tuple[float, float, float, float]]] = {}
    for entrant in found:
        metric, run = metric_for(entrant, column), entrant.runs[0]
        if metric is None or metric.value is None or run.result.step is None:
            continue
        low, high = metric.ci_seeds or (metric.value, metric.value)
        value, low, high = (in_unit(one, metric, column) for one in (metric.value, low, high))
        lines.setdefault(run.manifest.model, []).append(
            (run.result.step / 1000, value, value - low, high - value)
        )
    if not lines:
        axes.set_axis_off()
        return
    for number, (model, points) in enumerate(lines.items()):
        x, y, below, above = zip(*points, strict=True)
        style: dict[str, Any] = {"fmt": "s-", "capsize": 2, "markersize": 4}
        axes.errorbar(x, y, (below, above), color=COLOURS[number % len(COLOURS)], label=label(model), **style)
    axes.set(xlabel="thousand steps from the start", ylabel=column.label)
    axes.legend()


def _losses(row: Sequence[Axes], logs: Sequence[TrainingLog]) -> None:
    row[0].set_axis_off()
    row[0].text(0.5, 0.5, "losses are not published", ha="center", color="#555555")
    for number, log in enumerate(logs):
        thousands = [step / 1000 for step in log.steps]
        row[1].plot(thousands, log.losses, color=COLOURS[number % len(COLOURS)], label=label(log.stage))
    row[1].set(xlabel="thousand steps of the stage", ylabel=LOSS)
    row[1].legend()
    for other in row[2:]:
        other.set_axis_off()
