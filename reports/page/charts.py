"""A chart of the page: a Vega-Lite specification, and what all charts have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.page.chart_data import TOLD
from reports.page.chart_style import CONFIG

#: Range of a unit, where it has one.
RANGES: Final = {"fraction": (0.0, 1.0), "percent": (0.0, 100.0)}


@dataclasses.dataclass(frozen=True)
class Chart:
    """One Vega-Lite specification, with its own words for those who do not see it, under a title."""

    title: str
    spec: dict[str, Any]


def ends_of(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of an axis for ``rows``: the range of their unit, else from zero to the last bound."""
    fields = ("value", "seeds_low", "seeds_high", "prompts_low", "prompts_high")
    known = [0.0, *(row[field] for row in rows for field in fields if row[field] is not None)]
    low, high = min(known), max(known)
    units = {row["unit"] for row in rows}
    whole = RANGES.get(units.pop()) if len(units) == 1 else None
    if whole is not None and whole[0] <= low and high <= whole[1]:
        return whole
    room = 0.05 * (high - low) or 1.0
    return (low - room if low < 0 else 0.0, high + room if high > 0 else 0.0)


def tooltip() -> list[Any]:
    """Return what is shown for a mark that is pointed at."""
    import altair as alt

    return [alt.Tooltip(f"{field}:N", title=said) for field, said in TOLD]


def finished(chart: Any, description: str) -> dict[str, Any]:
    """Return the specification with the page's look; the address of its schema is for other tools."""
    spec: dict[str, Any] = chart.properties(description=description).to_dict()
    spec.pop("$schema", None)
    return {**spec, "autosize": {"type": "fit-x", "contains": "padding"}, "config": CONFIG}


def described(rows: Sequence[Mapping[str, Any]], metric: str | None = None) -> str:
    """Return the values of a chart in words, of one metric or of all, the first 24 of them."""
    told = [
        f"{row['checkpoint']} {row['metric_said']} {row['value_said']}"
        for row in rows
        if metric in (None, row["metric"])
    ]
    return "; ".join(told[:24]) + ("; …" if len(told) > 24 else "")
