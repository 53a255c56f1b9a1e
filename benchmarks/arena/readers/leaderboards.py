"""Leaderboards: ratings that others computed, without battles. They stand beside ours, unmixed."""

from __future__ import annotations

import csv
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from benchmarks.arena.readers.values import number_of
from benchmarks.json_lines import short, text_of
from lumina_eval.errors import UserError

#: The word for the leaderboards that come with the project: data of package ``reports``, no code of it.
PUBLISHED: Final = "published"
#: Where they lie, in the form of a paper's tables; those that are leaderboards say which arena they are of.
PUBLISHED_FILES: Final = ("table5", "table6", "table7")
#: Names of columns, in lower case, of a CSV leaderboard; GenAI-Arena's among them.
MODEL_COLUMNS: Final = ("model", "name", "key")
RATING_COLUMNS: Final = ("rating", "elo", "score")
GENAI_RATING: Final = re.compile(r"arena elo rating \((\w+)\)")
#: Keys of Artificial Analysis that name a category, one of which is not null.
CATEGORY_KEYS: Final = ("style_category", "subject_matter_category", "format_category")
OVERALL: Final = "Overall"


@dataclass(frozen=True)
class Entry:
    """A model's rating in a category; the interval and the number of battles where they are told."""

    model: str
    category: str
    rating: float
    ci_low: float | None = None
    ci_high: float | None = None
    battles: int | None = None


@dataclass(frozen=True)
class Leaderboard:
    """Ratings on one scale, with where and when they were published."""

    name: str
    title: str
    date: str
    source: str
    entries: tuple[Entry, ...]

    def of(self, model: str, category: str = OVERALL) -> Entry | None:
        """Return a model's entry; names are equal if their letters and digits are, in any case."""
        wanted = _plain(model)
        found = (each for each in self.entries if each.category == category and _plain(each.model) == wanted)
        return next(found, None)


def read_leaderboards(address: str) -> list[Leaderboard]:
    """Read ``published``, Artificial Analysis' JSON, or a leaderboard in TOML or CSV.

    Raises UserError for what is none of these.
    """
    if address == PUBLISHED:
        folder = resources.files("reports").joinpath(PUBLISHED)
        return [_printed(folder.joinpath(f"{name}.toml").read_text("utf-8")) for name in PUBLISHED_FILES]
    path = Path(address)
    readers = {".toml": _toml, ".json": _artificial_analysis, ".csv": _delimited}
    if path.suffix.lower() not in readers:
        raise UserError(
            f"expected a leaderboard ({', '.join(readers)}) or {PUBLISHED!r}, found {address}; fix: name one"
        )
    text = text_of(path)
    try:
        found = readers[path.suffix.lower()](text, path.stem)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"expected a leaderboard, found {error!r}, in {path}; fix: mend the file") from error
    if not any(board.entries for board in found):
        raise UserError(f"expected a leaderboard, found no rating in {path}; fix: name another file")
    return found


def bounds(rating: float, interval: str | None) -> tuple[float | None, float | None]:
    """Return the bounds of Artificial Analysis' ``ci95``, a text such as ``-12/+12``.

    >>> bounds(1000.0, "-12/12")
    (988.0, 1012.0)
    """
    if interval is None:
        return None, None
    parts = re.fullmatch(r"\s*-?(\d+(?:\.\d+)?)\s*/\s*\+?(\d+(?:\.\d+)?)\s*", str(interval))
    if parts is None:
        raise ValueError(f"expected an interval such as -12/12, found {short(interval)}")
    return rating - float(parts[1]), rating + float(parts[2])


def _toml(text: str, name: str) -> list[Leaderboard]:
    boards = []
    for board in tomllib.loads(text)["leaderboards"]:
        entries = tuple(
            Entry(model, category, number_of(value, model))
            for model, values in board["ratings"].items()
            for category, value in zip(board["categories"], values, strict=True)
        )
        title = board.get("title", board["name"])
        boards.append(Leaderboard(board["name"], title, str(board["date"]), board["source"], entries))
    return boards


def _printed(text: str) -> Leaderboard:
    """Read a paper's table of ratings: one model a row, its name first, one category a column."""
    table = tomllib.loads(text)
    categories = [column["label"] for column in table["columns"][1:]]
    entries = tuple(
        Entry(row[0], category, number_of(value, row[0]))
        for section in table["sections"]
        for row in section["rows"]
        for category, value in zip(categories, row[1:], strict=True)
    )
    arena = table["arena"]
    return Leaderboard(arena["name"], arena["title"], str(arena["date"]), table["source"], entries)


def _artificial_analysis(text: str, name: str) -> list[Leaderboard]:
    """Read the API's answer. The free one says ``ci_95``, and leaves out rank and appearances."""
    entries: list[Entry] = []
    for model in json.loads(text)["data"]:
        entries.append(_entry(model, model["name"], OVERALL))
        for part in model.get("categories") or ():
            category = next((part[key] for key in CATEGORY_KEYS if part.get(key)), None)
            if category is None:
                raise ValueError(f"expected one of {', '.join(CATEGORY_KEYS)}, found {short(part)}")
            entries.append(_entry(part, model["name"], category))
    return [Leaderboard("artificial-analysis", "Artificial Analysis", "", name, tuple(entries))]


def _entry(record: Mapping[str, Any], model: str, category: str) -> Entry:
    rating = number_of(record["elo"], f"the rating of {model}")
    low, high = bounds(rating, record.get("ci95", record.get("ci_95")))
    seen = record.get("appearances")
    return Entry(str(model), category, rating, low, high, None if seen is None else int(seen))


def _delimited(text: str, name: str) -> list[Leaderboard]:
    reader = csv.DictReader(text.lstrip("\ufeff").splitlines())
    columns = {column.lower().strip(): column for column in reader.fieldnames or ()}
    model = next((columns[each] for each in MODEL_COLUMNS if each in columns), None)
    ratings = {match[1]: columns[column] for column in columns if (match := GENAI_RATING.fullmatch(column))}
    if not ratings:
        first = next((columns[each] for each in RATING_COLUMNS if each in columns), None)
        ratings = {} if first is None else {OVERALL: first}
    if model is None or not ratings:
        raise ValueError(f"columns {', '.join(columns) or 'none'}, not model and rating")
    entries = tuple(_cells(reader, columns, model, ratings))
    return [Leaderboard(name, name, "", name, entries)]


def _cells(
    rows: Iterable[Mapping[str, str]], columns: Mapping[str, str], model: str, ratings: Mapping[str, str]
) -> Iterable[Entry]:
    def number(row: Mapping[str, str], key: str) -> float | None:
        value = row.get(columns.get(key, ""))
        return number_of(value, key) if value else None

    for row in rows:
        for category, column in ratings.items():
            value = number_of(row[column] or math.nan, f"the rating of {row[model]}")
            battles = number(row, "battles")
            yield Entry(
                model=row[model],
                category=row.get(columns.get("category", "")) or category,
                rating=value,
                ci_low=number(row, "ci_low"),
                ci_high=number(row, "ci_high"),
                battles=None if battles is None else int(battles),
            )


def _plain(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())
