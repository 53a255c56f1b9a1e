"""Metrics as rows of a chart: plain values to draw, and the words that are shown for a mark."""

from __future__ import annotations

from typing import Any, Final

from lumina_eval.records import Interval, Metric
from reports.groups import Group, metric_of, value_of
from reports.loading import RunView
from reports.numbers import EM_DASH, count, digits, fixed

#: Field and title of what is shown for a mark, in order.
TOLD: Final = (
    ("checkpoint", "checkpoint"),
    ("step_said", "step"),
    ("metric_said", "metric"),
    ("value_said", "value"),
    ("seeds_said", "same prompts, other noise"),
    ("prompts_said", "other prompts as well"),
    ("n_said", "judged"),
)


def chart_row(group: Group, run: RunView, name: str) -> dict[str, Any] | None:
    """Return one metric of one run, or None where it has no value; a bound that is unknown is None."""
    metric = metric_of(run, name)
    if metric is None:
        return None
    places = digits(metric.unit)
    return {
        "checkpoint": group.label(run),
        "stage": run.result.stage or run.title,
        "step": run.result.step,
        "metric": name,
        "unit": metric.unit,
        "value": value_of(metric),
        **_bounds("seeds", metric.ci_seeds),
        **_bounds("prompts", metric.ci_prompts),
        "step_said": count(run.result.step),
        "metric_said": name.replace("_", " "),
        "value_said": fixed(metric.value, places),
        "seeds_said": _said(metric.ci_seeds, places),
        "prompts_said": _said(metric.ci_prompts, places),
        "n_said": _judged(metric),
    }


def _judged(metric: Metric) -> str:
    return f"{count(metric.n_prompts)} prompts, {count(metric.n_images)} images"


def _bounds(name: str, bounds: Interval | None) -> dict[str, float | None]:
    low, high = bounds or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _said(bounds: Interval | None, places: int) -> str:
    return f"{fixed(bounds[0], places)} to {fixed(bounds[1], places)}" if bounds else EM_DASH
