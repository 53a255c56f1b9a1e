"""Scores over training steps: any metric, its intervals and the ceilings, to be zoomed and pointed at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from reports.curves import panels_of
from reports.groups import Group
from reports.page.chart_data import chart_row
from reports.page.chart_style import ACCENT, CEILING
from reports.page.charts import Chart, described, ends_of, finished, tooltip

#: Height in pixels; the width is that of the page.
HEIGHT: Final = 300

#: Room above the highest value, as a share of the axis: a name has to stand there.
ABOVE: Final = 0.07

#: Room beside the first and the last step, as a share of what lies between them.
MARGIN: Final = 0.08

#: The wheel scrolls the page; it zooms a chart with a key held, and so does a pinch.
ZOOM: Final = "wheel![event.ctrlKey || event.metaKey]"

#: Interval, width in pixels and opacity of its line.
WHISKERS: Final = (("prompts", 1.5, 0.9), ("seeds", 5.0, 0.45))


@dataclasses.dataclass(frozen=True)
class Curves:
    """The panels of the curves, and the metrics that they can show, the primary one first."""

    metrics: tuple[str, ...]
    panels: tuple[Chart, ...]


def curves(group: Group) -> Curves | None:
    """Return metrics over training steps, both intervals and the ceilings; None below two known steps.

    Stages whose steps count on from each other share one panel, others have one each.
    """
    names = [group.primary, *group.parts(), *group.splits()]
    found = [row for run in group.stages for name in names if (row := chart_row(group, run, name))]
    stepped = [row for row in found if row["step"] is not None]
    if sum(row["metric"] == group.primary for row in stepped) < 2:
        return None
    ceilings = _ranked(
        [row for run in group.ceilings for name in names if (row := chart_row(group, run, name))]
    )
    series: dict[str, list[int]] = {}
    for row in stepped:
        series.setdefault(row["stage"], []).append(row["step"])
    grouped = panels_of({name: (min(steps), max(steps)) for name, steps in series.items()})
    panels = []
    for members in grouped:
        title = "training step" if len(grouped) == 1 else f"training step in {members[0]}"
        rows = [row for row in stepped if row["stage"] in members]
        panels.append(Chart(title, _curve(group, rows, ceilings, title)))
    known = {row["metric"] for row in stepped}
    return Curves(tuple(name for name in names if name in known), tuple(panels))


def _curve(
    group: Group, rows: Sequence[dict[str, Any]], ceilings: Sequence[dict[str, Any]], title: str
) -> dict[str, Any]:
    import altair as alt

    # Ends of the axis are given, by metric: a filter that leaves nothing has no extent of its own.
    known = [*rows, *ceilings]
    ends = {
        name: ends_of([row for row in known if row["metric"] == name])
        for name in {r["metric"]: 0 for r in rows}
    }
    ends = {name: (low, high + ABOVE * (high - low)) for name, (low, high) in ends.items()}
    y = alt.Scale(domain=[alt.expr("ends[metric][0]"), alt.expr("ends[metric][1]")], nice=False)
    shown = alt.param(name="metric", value=group.primary)
    axis_ends = alt.param(name="ends", value=ends)
    chosen = "datum.metric === metric"
    points = alt.Chart(alt.Data(values=_named(rows))).transform_filter(chosen)
    steps = alt.X("step:Q", title=title, axis=alt.Axis(format="~s", tickMinStep=1, grid=False, tickCount=6))
    first, last = min(row["step"] for row in rows), max(row["step"] for row in rows)
    margin = MARGIN * (last - first) or 1
    x = steps.scale(domain=[first - margin, last + margin], nice=False)
    value = alt.Y("value:Q", title=None, scale=y, axis=alt.Axis(tickCount=5))
    tip = tooltip()
    most = alt.Chart(alt.Data(values=list(ceilings))).transform_filter(chosen)
    band = [
        most.transform_filter("isValid(datum.prompts_low)")
        .mark_rect(color=CEILING, opacity=0.14, aria=False)
        .encode(y=alt.Y("prompts_low:Q", title=None, scale=y), y2="prompts_high:Q"),
        most.mark_rule(color=CEILING, strokeWidth=1.5).encode(y=value, tooltip=tip),
        *(
            most.transform_filter(f"datum.rank === {rank}")
            .mark_text(
                color=CEILING, align="left", baseline=baseline, dx=4, dy=dy, x=0, limit=260, aria=False
            )
            .encode(y=value, text="checkpoint:N")
            for rank, baseline, dy in ((0, "bottom", -3), (1, "top", 4))
        ),
    ]
    layers = [
        *(band if ceilings else []),
        points.mark_line(color=ACCENT, strokeWidth=1.5, aria=False).encode(x=x, y=value),
        *(_whisker(points, x, name, width, opacity, y) for name, width, opacity in WHISKERS),
        points.mark_circle(color=ACCENT, size=70, opacity=1, aria=False).encode(x=x, y=value),
        *(
            points.transform_filter(f"datum.name_at === '{side} {height}'")
            .mark_text(
                align="left" if side == "right" else "right",
                baseline="top" if height == "below" else "bottom",
                dx=8 if side == "right" else -8,
                dy=6 if height == "below" else -6,
                limit=160,
                aria=False,
            )
            .encode(x=x, y=value, text="checkpoint:N")
            for side in ("left", "right")
            for height in ("above", "below")
        ),
        # Larger than what is seen, so that a finger finds it.
        points.mark_circle(size=900, opacity=0)
        .encode(x=x, y=value, tooltip=tip)
        .properties(name="points")
        .add_params(alt.selection_interval(bind="scales", name="window", zoom=ZOOM)),
    ]
    chart = alt.layer(*layers).add_params(shown, axis_ends).properties(width="container", height=HEIGHT)
    return finished(chart, f"Score over training steps: {described(rows, group.primary)}")


def _ranked(ceilings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the ceilings of each metric from the highest: the first is named above its line."""
    ranked = sorted(ceilings, key=lambda row: -row["value"])
    seen: dict[str, int] = {}
    for row in ranked:
        row["rank"] = seen.get(row["metric"], 0)
        seen[row["metric"]] = row["rank"] + 1
    return ranked


def _named(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say where the name of each stage's last point stands: beside it, where the line leaves room."""
    for name in dict.fromkeys(row["metric"] for row in rows):
        line = sorted((row for row in rows if row["metric"] == name), key=lambda row: row["step"])
        for place, row in enumerate(line):
            last = place == len(line) - 1
            if not last and line[place + 1]["stage"] == row["stage"]:
                continue
            other = line[place - 1 if last else place + 1]["value"]
            above = other < row["value"] if len(line) > 1 else False
            row["name_at"] = f"{'left' if last and place else 'right'} {'above' if above else 'below'}"
    return list(rows)


def _whisker(points: Any, x: Any, name: str, width: float, opacity: float, y: Any) -> Any:
    import altair as alt

    return (
        points.transform_filter(f"isValid(datum.{name}_low)")
        .mark_rule(color=ACCENT, strokeWidth=width, opacity=opacity, aria=False)
        .encode(x=x, y=alt.Y(f"{name}_low:Q", title=None, scale=y), y2=f"{name}_high:Q")
    )
