"""The plot of the sampling study: score against cost, a panel for each way of guidance, a line a solver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tabletop.trial.sampling_study import GUIDANCE, STEPS, Row
from lumina_eval.files import said_clearly


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw the rows of :func:`benchmarks.tabletop.trial.sampling_study.rows` into a PNG.

    Bars are intervals over prompts, shifted a little along the cost so that solvers do not hide each other;
    the grey band is that of the reference.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    columns = len(GUIDANCE) // 2 + 1  # in two rows, so that one place at least is left for the legend
    places = list(figure.subplots(2, columns, sharex=True, sharey=True).flat)
    panels, spare = places[: len(GUIDANCE)], places[len(GUIDANCE) :]
    for place in spare:
        place.axis("off")
    low, high = next(row.overall.ci_prompts for row in rows if row.against is None) or (0.0, 0.0)
    for panel, guidance in zip(panels, GUIDANCE, strict=True):
        panel.axhspan(low, high, color="0.92", zorder=0)
        for place, solver in enumerate(STEPS):
            line = [row for row in rows if (row.setting.solver, row.setting.guidance) == (solver, guidance)]
            values = [row.overall.value or 0.0 for row in line]
            ends = [row.overall.ci_prompts or (value, value) for row, value in zip(line, values, strict=True)]
            panel.errorbar(
                [row.passes * 1.03 ** (place - 2) for row in line],
                values,
                [
                    [value - end[0] for value, end in zip(values, ends, strict=True)],
                    [end[1] - value for value, end in zip(values, ends, strict=True)],
                ],
                label=solver, marker="o", markersize=4, linewidth=1.2, elinewidth=0.6,
            )  # fmt: skip
        panel.set_title(guidance, fontsize=10)
        panel.set_xscale("log", base=2)
        panel.grid(alpha=0.3)
    for panel in panels[-columns:]:  # those with no panel below them
        panel.set_xlabel("passes through the joint blocks, per image")
        panel.set_xticks([10, 20, 40, 80], ["10", "20", "40", "80"])
        panel.tick_params(labelbottom=True)
    for panel in panels[::columns]:
        panel.set_ylabel("GenEval overall, dev prompts")
    spare[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    with said_clearly(path):
        figure.savefig(path, dpi=110)
