"""Two figures as SVG: the score over training steps, and every category of every checkpoint side by side.

Both return a bare SVG element with placeholders for colours; see :mod:`reports.svg`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from lumina_eval.records import Metric
from reports.groups import Group, metric_of, value_of
from reports.loading import RunView
from reports.stage_tables import scale
from reports.svg import ACCENT, CEILING, STYLE, element

#: Inches; at the page's width a point is then 1.4 pixels, so that letters have the size of the text around.
WIDTH: Final = 10.4

#: Panels beside each other in the figure of categories.
PANELS: Final = 4


def steps_curve(group: Group) -> str | None:
    """Draw the primary metric over training steps with both intervals, and the ceiling as a line in a band.

    Stages whose steps count on from each other share one axis; stages that each count from zero have a panel
    each. Returns None if fewer than two checkpoints know their step.
    """
    series = _series(group)
    if sum(len(points) for points in series.values()) < 2:
        return None
    panels = panels_of({name: (points[0][0], points[-1][0]) for name, points in series.items()})
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, members in zip(axes, panels, strict=True):
            _curve(ax, group, [series[name] for name in members])
        axes[0].set_ylabel(_axis_name(group))
        for name, ax in zip(panels, axes, strict=True):
            ax.set_xlabel("training step" if len(panels) == 1 else f"training step in {name[0]}")
        _limits(axes[0], group)
        return element(figure)


def categories(group: Group) -> str | None:
    """Draw every category in a small panel of its own: a dot and two intervals for each checkpoint."""
    runs = (*group.milestones, *group.ceilings)
    names = [group.primary, *group.parts()]
    if len(names) < 2 or scale(group) is None:
        return None
    rows = -(-len(names) // PANELS)
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(WIDTH, rows * (0.62 + 0.24 * len(runs))), layout="constrained")
        grid = figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False)
        for ax, name in itertools.zip_longest(grid.flat, names):
            if name is None:
                ax.set_visible(False)
            else:
                _forest(ax, group, runs, name)
        low, high = scale(group) or (0.0, 1.0)
        grid[0, 0].set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        ticks = [low, (low + high) / 2, high]
        grid[0, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        for ax in grid.flat:  # the outer labels stay within their panel
            for text, side in zip(ax.get_xticklabels(), ("left", "center", "right"), strict=False):
                text.set_horizontalalignment(side)
        for below in range(len(names), rows * PANELS):
            grid.flat[below - PANELS].tick_params(labelbottom=True)
        return element(figure)


def _series(group: Group) -> dict[str, list[tuple[int, Metric, str]]]:
    """Points (step, metric, stage) of each model line and stage, by step."""
    found: dict[str, list[tuple[int, Metric, str]]] = {}
    for run in group.stages:
        metric = metric_of(run, group.primary)
        if metric is not None and run.result.step is not None:
            stage = run.result.stage or run.title
            found.setdefault(stage, []).append((run.result.step, metric, stage))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def panels_of(ends: Mapping[str, tuple[int, int]]) -> list[list[str]]:
    """Return one panel for all stages if their steps (first, last) follow each other, else one for each."""
    follows = all(before[1] < after[0] for before, after in itertools.pairwise(ends.values()))
    return [list(ends)] if follows else [[name] for name in ends]


def _curve(ax: Axes, group: Group, series: Sequence[Sequence[tuple[int, Metric, str]]]) -> None:
    flat = [point for points in series for point in points]
    ax.plot([p[0] for p in flat], [value_of(p[1]) for p in flat], color=ACCENT, linewidth=1.2, zorder=2)
    for step, metric, _ in flat:
        _whiskers(ax, metric, step, ACCENT, upright=True)
    for points in series:
        step, metric, stage = points[-1]
        bounds = scale(group)
        floor = bounds is not None and value_of(metric) < bounds[0] + 0.1 * (bounds[1] - bounds[0])
        ax.annotate(
            stage,
            (step, value_of(metric)),
            xytext=(7, 3 if floor else -3),  # not into the numbers of the axis
            textcoords="offset points",
            va="bottom" if floor else "top",
            fontsize=8.5,
        )
    _ceilings(ax, group)
    ax.margins(x=0.14)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.grid(visible=False, axis="x")


def _ceilings(ax: Axes, group: Group) -> None:
    """Draw each ceiling as a line in a band; the highest is named above its line, the others below."""
    known = [(run, most) for run in group.ceilings if (most := metric_of(run, group.primary)) is not None]
    known.sort(key=lambda pair: -value_of(pair[1]))
    for place, (run, most) in enumerate(known):
        if most.ci_prompts:
            ax.axhspan(*most.ci_prompts, color=CEILING, alpha=0.14, linewidth=0, zorder=1)
        ax.axhline(value_of(most), color=CEILING, linewidth=1, zorder=1)
        ax.annotate(
            group.label(run),
            (0.01, value_of(most)),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3 if place == 0 else -3 - 12 * (place - 1)),
            textcoords="offset points",
            va="bottom" if place == 0 else "top",
            color=CEILING,
            fontsize=8.5,
        )


def _forest(ax: Axes, group: Group, runs: Sequence[RunView], name: str) -> None:
    ax.set_title(name.replace("_", " "))
    for place, run in enumerate(reversed(runs)):
        metric = metric_of(run, name)
        if metric is not None:
            _whiskers(ax, metric, place, CEILING if run.is_ceiling else ACCENT, upright=False)
    ax.set_yticks(range(len(runs)), [group.label(run) for run in reversed(runs)])
    ax.set_ylim(-0.6, len(runs) - 0.4)
    ax.tick_params(length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False, axis="y")


def _whiskers(ax: Axes, metric: Metric, at: float, color: str, *, upright: bool) -> None:
    """Draw a value as a dot, ``ci_prompts`` as a thin line and ``ci_seeds`` as a thick one."""
    for bounds, width, alpha in ((metric.ci_prompts, 1.1, 0.9), (metric.ci_seeds, 3.6, 0.45)):
        if bounds is not None:
            x, y = ([at, at], list(bounds)) if upright else (list(bounds), [at, at])
            ax.plot(
                x,
                y,
                color=color,
                linewidth=width,
                alpha=alpha,
                solid_capstyle="butt",
                zorder=3,
                clip_on=False,
            )
    x, y = ([at], [value_of(metric)]) if upright else ([value_of(metric)], [at])
    ax.plot(x, y, marker="o", markersize=4, color=color, zorder=4, clip_on=False)


def _limits(ax: Axes, group: Group) -> None:
    """Start fractions at zero: a cut axis makes small differences look large."""
    bounds = scale(group)
    if bounds is not None:
        low, high = bounds
        ax.set_ylim(low, high + 0.06 * (high - low))


def _axis_name(group: Group) -> str:
    return group.primary.replace("_", " ")
