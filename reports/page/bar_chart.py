"""Every category of every checkpoint as a bar with both intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.groups import Group
from reports.page.chart_data import chart_row
from reports.page.chart_style import INK, checkpoint_colors
from reports.page.charts import RANGES, Chart, described, ends_of, finished, tooltip

#: Pixels for each bar, and between the bars of two metrics.
BAR: Final = 14
GAP: Final = 12


def categories(group: Group) -> tuple[Chart, ...]:
    """Return one chart where all metrics share a range, else one for each metric."""
    names = [group.primary, *group.parts()]
    runs = (*group.milestones, *group.ceilings)
    rows = [row for name in names for run in runs if (row := chart_row(group, run, name))]
    if len(names) < 2 or not rows:
        return ()
    if ends_of(rows) in RANGES.values():
        return (Chart("", _bars(group, rows)),)
    made = []
    for name in names:
        own = [row for row in rows if row["metric"] == name]
        if own:
            less = " (less is better)" if group.direction(name) == "lower" else ""
            made.append(Chart(f"{name.replace('_', ' ')}{less}", _bars(group, own)))
    return tuple(made)


def legend(group: Group) -> tuple[tuple[str, str], ...]:
    """Return label and colour of each checkpoint in the bars."""
    runs = (*group.milestones, *group.ceilings)
    return tuple(zip((group.label(run) for run in runs), checkpoint_colors(group, runs), strict=True))


def _bars(group: Group, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    import altair as alt

    labels, colors = (list(part) for part in zip(*legend(group), strict=True))
    low, high = ends_of(rows)
    metrics = len({row["metric"] for row in rows})
    x_scale = alt.Scale(domain=[low, high], nice=False)
    color = alt.Color(
        "checkpoint:N",
        scale=alt.Scale(domain=labels, range=colors),
        legend=None,
    )
    y = alt.Y(
        "metric_said:N",
        sort=None,
        title=None,
        axis=alt.Axis(labelLimit=150, ticks=False, domain=False, labelPadding=8) if metrics > 1 else None,
    )
    offset = alt.YOffset("checkpoint:N", sort=labels, scale=alt.Scale(paddingInner=0.15))
    tip = tooltip()
    data = alt.Chart(alt.Data(values=list(rows)))
    layers = [
        data.mark_bar(opacity=0.85).encode(
            x=alt.X("value:Q", title=None, scale=x_scale, axis=alt.Axis(tickCount=5)),
            y=y, yOffset=offset, color=color, tooltip=tip,
        ),
        *(
            data.transform_filter(f"isValid(datum.{name}_low)")
            .mark_rule(color=INK, strokeWidth=width, opacity=opacity, aria=False)
            .encode(
                x=alt.X(f"{name}_low:Q", title=None, scale=x_scale), x2=f"{name}_high:Q",
                y=y, yOffset=offset, tooltip=tip,
            )
            for name, width, opacity in (("prompts", 1.2, 0.75), ("seeds", 3.5, 0.4))
        ),
    ]  # fmt: skip
    chart = alt.layer(*layers).properties(width="container", height=metrics * (len(labels) * BAR + GAP))
    return finished(chart, f"Bars: {described(rows)}")
