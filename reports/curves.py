"""Two figures as SVG: the score over training steps, and every category of every checkpoint side by side.

Colours are written as placeholders and put in last: CSS variables within the page, so that the figures follow
its light or dark theme, and plain colours in a file of its own.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from lumina_eval.digests import sha256_bytes
from lumina_eval.records import Metric
from reports.groups import Group, metric_of, value_of
from reports.loading import RunView
from reports.stage_tables import scale

#: Placeholder in the SVG, CSS variable in the page, colour in a file: one line for each role.
ROLES: Final[dict[str, tuple[str, str, str]]] = {
    "ink": ("#010101", "var(--ink)", "#1b1f24"),
    "muted": ("#020202", "var(--muted)", "#5b6470"),
    "line": ("#030303", "var(--line)", "#d8dde3"),
    "accent": ("#040404", "var(--accent)", "#1f5fa8"),
    "ceiling": ("#050505", "var(--ceiling)", "#8a6d1f"),
}
INK, MUTED, LINE, ACCENT, CEILING = (roles[0] for roles in ROLES.values())

#: Settings of all figures: text stays text, ids depend on the content alone.
STYLE: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lumina-eval",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}

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
    panels = _panels(series)
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, members in zip(axes, panels, strict=True):
            _curve(ax, group, [series[name] for name in members])
        axes[0].set_ylabel(_axis_name(group))
        for name, ax in zip(panels, axes, strict=True):
            ax.set_xlabel("training step" if len(panels) == 1 else f"training step in {name[0]}")
        _limits(axes[0], group)
        return _svg(figure)


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
        return _svg(figure)


def in_page(svg: str) -> str:
    """Return an SVG element for an HTML page: theme colours, the page's font, no outside names."""
    for placeholder, variable, _ in ROLES.values():
        svg = svg.replace(placeholder, variable)
    return svg


def in_file(svg: str) -> str:
    """Return the SVG as a file of its own, in plain colours on white."""
    for placeholder, _, color in ROLES.values():
        svg = svg.replace(placeholder, color)
    start = svg.index(">") + 1
    opened = svg[: start - 1] + ' xmlns="http://www.w3.org/2000/svg">'
    return f'{opened}<rect width="100%" height="100%" fill="#ffffff"/>{svg[start:]}\n'


def _series(group: Group) -> dict[str, list[tuple[int, Metric, str]]]:
    """Points (step, metric, stage) of each model line and stage, by step."""
    found: dict[str, list[tuple[int, Metric, str]]] = {}
    for run in group.stages:
        metric = metric_of(run, group.primary)
        if metric is not None and run.result.step is not None:
            stage = run.result.stage or run.title
            found.setdefault(stage, []).append((run.result.step, metric, stage))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def _panels(series: Mapping[str, Sequence[tuple[int, Metric, str]]]) -> list[list[str]]:
    """One panel for all series if their steps follow on from each other, else one for each."""
    ends = [(points[0][0], points[-1][0]) for points in series.values()]
    follows = all(before[1] < after[0] for before, after in itertools.pairwise(ends))
    return [list(series)] if follows else [[name] for name in series]


def _curve(ax: Axes, group: Group, series: Sequence[Sequence[tuple[int, Metric, str]]]) -> None:
    flat = [point for points in series for point in points]
    ax.plot([p[0] for p in flat], [value_of(p[1]) for p in flat], color=ACCENT, linewidth=1.2, zorder=2)
    for step, metric, _ in flat:
        _whiskers(ax, metric, step, ACCENT, upright=True)
    for points in series:
        step, metric, stage = points[-1]
        ax.annotate(
            stage,
            (step, value_of(metric)),
            xytext=(7, -3),
            textcoords="offset points",
            va="top",
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


def _svg(figure: Figure) -> str:
    """Return the bare SVG element, scalable, without the declarations that name outside addresses."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "system-ui, sans-serif", text)
    text = text.replace('<style type="text/css">*{', "<style>svg *{")  # within the figure, not the page
    return _own_ids(text.strip())


def _own_ids(svg: str) -> str:
    """Keep only ids that something points to, and make them differ from those of any other figure."""
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    names = {name for pair in used for name in pair if name}
    prefix = f"f{sha256_bytes(svg.encode())[:8]}-"
    svg = re.sub(
        r'\sid="([^"]*)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in names else "", svg
    )
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
