"""Rows of a file, whatever its format: a number for messages, and named values; a broken one says why."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from benchmarks.json_lines import expected_in
from lumina_eval.errors import UserError

Row = Mapping[str, Any]

SUFFIXES: Final = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".db", ".sqlite")


@dataclass(frozen=True)
class Broken:
    """Takes the place of a row that cannot be read."""

    reason: str


@dataclass(frozen=True)
class Rows:
    """The rows of a file. ``unit`` is what its numbers count, ``columns`` what the first row has."""

    path: Path
    unit: str
    columns: tuple[str, ...]
    items: Iterator[tuple[int, Row | Broken]]

    def where(self, number: int) -> str:
        """Name a row for a message."""
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}, {self.unit} {number}"


def read_rows(path: Path) -> Rows:
    """Open a file of rows, or a folder that ``datasets`` saved.

    Raises UserError if it cannot be read, is empty, or is of a kind that is not read here.
    """
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            return _peek(path, "row", _dataset(path))
        if suffix in (".pkl", ".pickle"):
            raise UserError(
                f"expected data, found a pickle, which may run anything, at {path}; "
                "fix: take the JSON that the arena publishes beside it"
            )
        if suffix not in SUFFIXES:
            raise UserError(f"expected a file of votes ({', '.join(SUFFIXES)}), found {path}; fix: rename it")
        if path.stat().st_size == 0:
            raise UserError(f"expected votes, found an empty file at {path}; fix: name another")
        if suffix == ".parquet":
            return _peek(path, "row", _parquet(path))
        if suffix in (".db", ".sqlite"):
            return _peek(path, "row", _database(path))
        if suffix in (".csv", ".tsv"):
            return _peek(path, "line", _delimited(path, "\t" if suffix == ".tsv" else ","))
        return _json(path)
    except (OSError, UnicodeDecodeError, sqlite3.Error) as error:
        raise UserError(f"expected a readable file, found {error}, at {path}; fix: name another") from error


def _peek(path: Path, unit: str, items: Iterator[tuple[int, Row | Broken]]) -> Rows:
    """Look at the first whole row for its columns."""
    seen = []
    for item in items:
        seen.append(item)
        if not isinstance(item[1], Broken):
            return Rows(path, unit, tuple(item[1]), chain(seen, items))
    if not seen:
        raise UserError(f"expected votes, found none in {path}; fix: name another file")
    return Rows(path, unit, (), iter(seen))


def _json(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as stream:
        first = next((line.lstrip()[:1] for line in stream if line.strip()), "")
    if first == "[" or path.suffix.lower() == ".json":
        whole = _whole_json(path)
        if whole is not None:
            return _peek(path, "record", iter(whole))
    return _peek(path, "line", _lines(path))


def _whole_json(path: Path) -> list[tuple[int, Row | Broken]] | None:
    """Return the records of an array; None if the file holds an object on each line instead."""
    text = path.read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None
        raise UserError(
            f"{path}:{error.lineno}: broken JSON: {expected_in(error)}; fix: mend the file"
        ) from error
    except RecursionError as error:
        raise UserError(f"{path}: JSON nested too deep; fix: name another file") from error
    if isinstance(value, dict):
        if "data" in value and "model_a" not in value:
            raise UserError(
                f"expected votes, found a leaderboard, which has ratings and no battles, at {path}; "
                "fix: lumina-eval arena rate VOTES --beside that file"
            )
        value = [value]
    if not isinstance(value, list):
        raise UserError(
            f"expected an array of votes, found {type(value).__name__} in {path}; fix: name another"
        )
    return [
        (number, each if isinstance(each, dict) else Broken("expected a JSON object"))
        for number, each in enumerate(value, 1)
    ]


def _lines(path: Path) -> Iterator[tuple[int, Row | Broken]]:
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, Broken(f"broken JSON: {expected_in(error)}")
                continue
            yield number, value if isinstance(value, dict) else Broken("expected a JSON object")


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, Row | Broken]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        header = next(reader, [])
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                yield start, Broken(f"broken CSV: {error}")
                continue
            if fields is None:
                return
            if len(fields) == len(header):
                yield start, dict(zip(header, fields, strict=True))
            elif fields:
                yield start, Broken(f"expected {len(header)} fields, found {len(fields)}")


def _parquet(path: Path) -> Iterator[tuple[int, Row]]:
    """Read all columns but pictures, in pieces."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        plain = [
            field.name
            for field in file.schema_arrow
            if not (pa.types.is_binary(field.type) or _holds_bytes(field.type))
        ]
        number = 0
        for batch in file.iter_batches(columns=plain):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pa.ArrowException as error:
        raise UserError(f"expected a parquet file, found {error}, at {path}; fix: name another") from error


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and any(pa.types.is_binary(field.type) for field in kind)


def _dataset(path: Path) -> Iterator[tuple[int, Row]]:
    """Read what ``Dataset.save_to_disk`` wrote, or a folder of parquet files; pictures are left closed."""
    parts = sorted(path.rglob("*.parquet"))
    if parts:
        yield from enumerate((row for part in parts for _, row in _parquet(part)), 1)
        return
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise UserError(
            f"expected a folder of parquet files or one that datasets saved, found neither at {path}; "
            "fix: name a file"
        ) from error
    parts_of = list(found.values()) if isinstance(found, datasets.DatasetDict) else [found]
    number = 0
    for part in parts_of:
        pictures = [name for name, kind in part.features.items() if isinstance(kind, datasets.Image)]
        for row in part.remove_columns(pictures):
            number += 1
            yield number, row


def _database(path: Path) -> Iterator[tuple[int, Row]]:
    """Read view ``battles`` of an arena's database, unlocked for its writer."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        for number, row in enumerate(database.execute("SELECT * FROM battles"), 1):
            yield number, dict(row)
