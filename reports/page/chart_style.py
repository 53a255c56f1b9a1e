"""The look of the charts: colours are the page's own variables, so that they follow light, dark and print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reports.groups import Group
from reports.loading import RunView

INK, MUTED, LINE = "var(--ink)", "var(--muted)", "var(--line)"
ACCENT, CEILING = "var(--accent)", "var(--ceiling)"

#: The page's own font; letters are measured before they are drawn, so it is named here again.
FONT: Final = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, Liberation Sans, sans-serif"

#: Vega-Lite configuration of all charts.
CONFIG: Final[dict[str, Any]] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": "transparent"},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelPadding": 6,
        "titlePadding": 10,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 220,
        "orient": "top",
        "title": None,
        "symbolType": "square",
    },
    "text": {"color": INK, "fontSize": 12},
}


def checkpoint_colors(group: Group, runs: Sequence[RunView]) -> list[str]:
    """Return a colour for each run: the accent, pale for the first to full for the last; ceilings theirs."""
    stages = [run for run in runs if not run.is_ceiling]
    ceilings = [run for run in runs if run.is_ceiling]

    def shade(color: str, place: int, of: int) -> str:
        share = 100 if of < 2 else round(40 + 60 * place / (of - 1))
        return color if share == 100 else f"color-mix(in srgb, {color} {share}%, var(--paper))"

    return [
        shade(CEILING, ceilings.index(run), len(ceilings))
        if run.is_ceiling
        else shade(ACCENT, stages.index(run), len(stages))
        for run in runs
    ]
