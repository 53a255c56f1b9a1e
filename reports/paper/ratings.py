"""Ratings that ``lumina-eval arena rate --json`` printed, as rows beside a published leaderboard.

Each rating has a scale of its own, set by its anchor and by who met whom, so such rows stand apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lumina_eval.errors import UserError
from reports.paper.published import PublishedTable
from reports.table import Cell, Row, interval

#: The category that a rating over all votes is in.
OVERALL = "Overall"


def is_ratings(path: Path) -> bool:
    """Tell whether an input is a file of ratings and no run folder."""
    return path.suffix.lower() == ".json"


def rating_rows(path: Path, table: PublishedTable) -> list[Row]:
    """Return the models of a ratings file in the columns of a leaderboard, below a line that names the file.

    Raises UserError if the file holds no ``{"ratings": [...]}``.
    """
    section = f"your ratings ({path.name}): a scale of their own, not comparable"
    rows = []
    for place, rating in enumerate(_ratings(path)):
        where = f"rating {place + 1} in {path}"
        if not isinstance(rating, dict) or not isinstance(rating.get("model"), str):
            raise UserError(f"expected an object with a model, found {str(rating)[:60]!r}, as {where}")
        value = _number(rating, "rating", where)
        bounds = (_number(rating, "ci_low", where), _number(rating, "ci_high", where))
        known = interval("battles", (bounds[0], bounds[1])) if None not in bounds else ()  # type: ignore[arg-type]
        battles = _number(rating, "battles", where)
        note = None if battles is None else f"{battles:g} battles"
        cells = [
            Cell(rating["model"], note=note)
            if column.fact == "name"
            else Cell(value=value, intervals=known)
            if column.metric and column.metric.name == OVERALL
            else Cell()
            for column in table.columns
        ]
        rows.append(Row(tuple(cells), "apart", section))
    return rows


def _ratings(path: Path) -> Sequence[Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"expected JSON, found {error}, in {path}") from error
    ratings = found.get("ratings") if isinstance(found, dict) else None
    if not isinstance(ratings, list) or not ratings:
        raise UserError(
            f'expected {{"ratings": […]}}, found none, in {path}; '
            f"fix: lumina-eval arena rate BATTLES --json > {path.name}"
        )
    return ratings


def _number(rating: dict[str, Any], key: str, where: str) -> float | None:
    found = rating.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise UserError(f"expected a number or null for {key}, found {found!r}, as {where}")
    return float(found)
