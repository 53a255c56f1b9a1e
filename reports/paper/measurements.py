"""What images cost on the reader's own device: ``measurements.jsonl`` of ``lumina-eval efficiency``."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.digests import canonical_json
from lumina_eval.errors import UserError


@dataclasses.dataclass(frozen=True)
class Measured:
    """Seconds for one image alone, under one sampling on one device."""

    label: str
    device: str
    seconds: float


def measurements(inputs: Sequence[Path]) -> list[Measured]:
    """Read the ``.jsonl`` files among ``inputs``; of a setting that was measured again the last one counts.

    A row is called by its model, and by the settings that differ from the row before where the model is the
    same. Raises UserError for a line that is no measurement.
    """
    rows: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for path in inputs:
        if path.suffix == ".jsonl" and path.is_file():
            for row in _rows(path):
                key = (row["device"], row["title"], str(row.get("digest")), canonical_json(row["sampling"]))
                rows.pop(key, None)  # so that it takes its place among the newest ones
                rows[key] = row
    found: list[Measured] = []
    before: Mapping[str, Any] | None = None
    for row in rows.values():
        found.append(Measured(_label(row, before), row["device"], row["seconds_median"]))
        before = row
    return found


def _rows(path: Path) -> list[Mapping[str, Any]]:
    rows = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(text)
            seconds = row["seconds_median"]
            whole = isinstance(row["title"], str) and isinstance(row["device"], str)
            whole = whole and isinstance(row["sampling"], dict) and isinstance(seconds, int | float)
            if not whole or not math.isfinite(seconds) or seconds <= 0:
                raise ValueError("no measurement")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}:{number}: expected a measurement of lumina-eval efficiency, found {text[:40]!r}; "
                "fix: name its measurements.jsonl"
            ) from error
        rows.append(row)
    return rows


def _label(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    if before is None or any(row.get(key) != before.get(key) for key in ("title", "digest", "device")):
        return str(row["title"])
    changed = [key for key, value in row["sampling"].items() if before["sampling"].get(key) != value]
    words = (f"{key}={_word(row['sampling'][key])}" for key in changed)
    return f"+ {', '.join(words)}" if changed else str(row["title"])


def _word(value: object) -> str:
    return "off" if value is None else value if isinstance(value, str) else canonical_json(value)
