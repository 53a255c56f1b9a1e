"""Ratings as JSON, a table for people, Markdown, CSV. Names are text: what is in them is only shown."""

from __future__ import annotations

import csv
import html
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from benchmarks.arena.layouts import safe_cell
from benchmarks.arena.ratings.results import Rated, Rating
from benchmarks.arena.readers.leaderboards import Leaderboard

HEAD: Final = ("model", "rating", "95 % interval", "rank", "battles")
#: What Markdown would take for a mark.
MARKS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]|#~"})


def as_json(rated: Rated, pairs: bool = False) -> dict[str, Any]:
    """Return what ``arena rate --json`` prints; ``pairs`` adds win chance and p of every two rated models."""
    keys = ("model", "rating", "ci_low", "ci_high", "rank_low", "rank_high", "battles")
    found: dict[str, Any] = {
        "ratings": [{key: getattr(row, key) for key in keys} for row in rated.ratings],
        "warnings": [
            {"code": each.code, "models": list(each.models), "message": each.message}
            for each in rated.warnings
        ],
    }
    if pairs:
        found["pairs"] = [
            {"model_a": a, "model_b": b, "win": float(rated.win[i, j]), "p": p}
            for i, j, a, b, p in _pairs(rated)
        ]
    return found


def as_table(rated: Rated, title: str, beside: Sequence[Leaderboard] = ()) -> Table:
    """Return the ratings for a terminal, with a column for each leaderboard beside."""
    table = Table(title=Text(visible(title)), caption=Text(f"intervals: {rated.interval}"))
    for name in (*HEAD, *(board.title for board in beside)):
        table.add_column(Text(visible(name)), justify="left" if name == HEAD[0] else "right")
    for cells in _rows(rated, beside):
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def as_markdown(rated: Rated, beside: Sequence[Leaderboard] = ()) -> str:
    """Return the ratings as a Markdown table."""
    head = [*HEAD, *(board.title for board in beside)]
    lines = [head, ["---", *("---:" for _ in head[1:])], *_rows(rated, beside)]
    shown = (lines[0], lines[1], *([markdown_cell(cell) for cell in line] for line in lines[2:]))
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def as_csv(rated: Rated) -> str:
    """Return the ratings as CSV in full precision; no cell can start a formula in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("model", "rating", "ci_low", "ci_high", "rank_low", "rank_high", "battles"))
    for row in rated.ratings:
        numbers = (row.rating, row.ci_low, row.ci_high, row.rank_low, row.rank_high, row.battles)
        writer.writerow([safe_cell(visible(row.model)), *("" if each is None else each for each in numbers)])
    return out.getvalue()


def pair_table(rated: Rated) -> Table:
    """Return the chance in percent that the row's model wins against the column's; * where p < 0.05."""
    table = Table(
        title="wins of the row against the column, in percent",
        caption="* strengths differ (p < 0.05, Holm over all pairs)",
    )
    table.add_column("model")
    for place in range(1, len(rated.rated) + 1):
        table.add_column(str(place), justify="right")
    for i, name in enumerate(rated.rated):
        sure = [rated.p is not None and rated.p[i, j] < 0.05 for j in range(len(rated.rated))]
        cells = [f"{100 * rated.win[i, j]:.0f}{'*' if sure[j] else ''}" for j in range(len(rated.rated))]
        cells[i] = "-"
        table.add_row(Text(f"{i + 1} {visible(name)}"), *cells)
    return table


def visible(text: str) -> str:
    """Return text with what cannot be shown, or could move a terminal's cursor, replaced.

    >>> visible("a\\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Cs") else sign for sign in text)


def markdown_cell(text: str) -> str:
    """Return text that Markdown and HTML show as it is.

    >>> markdown_cell("a|b <i>")
    'a\\\\|b &lt;i&gt;'
    """
    return html.escape(visible(text), quote=False).translate(MARKS)


def _rows(rated: Rated, beside: Sequence[Leaderboard]) -> Iterator[list[str]]:
    for row in rated.ratings:
        published = [board.of(row.model) for board in beside]
        others = ["" if entry is None else f"{entry.rating:g}" for entry in published]
        yield [row.model, _points(row.rating), _interval(row), _ranks(row), str(row.battles), *others]


def _interval(row: Rating) -> str:
    if row.rating is None or (row.ci_low is None and row.ci_high is None):
        return "-"
    return f"{_points(row.ci_low, 'no bound')} to {_points(row.ci_high, 'no bound')}"


def _ranks(row: Rating) -> str:
    if row.rank_low is None:
        return "-"
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low} to {row.rank_high}"


def _points(value: float | None, none: str = "none") -> str:
    return none if value is None else f"{value:.1f}"


def _pairs(rated: Rated) -> Iterator[tuple[int, int, str, str, float | None]]:
    names: Mapping[int, str] = dict(enumerate(rated.rated))
    for i in names:
        for j in range(i + 1, len(names)):
            yield i, j, names[i], names[j], None if rated.p is None else float(rated.p[i, j])
