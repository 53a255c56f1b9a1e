"""Small question and verdict files of DPG-Bench, and the command line on them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.dpg.questions import COLUMNS

#: item, proposition id, dependency, tuple, question
Row = tuple[str, int | str, str, str, str]


@dataclasses.dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def record(self) -> dict[str, Any]:
        (line,) = self.stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def values(self) -> dict[str, float | None]:
        return {metric["name"]: metric["value"] for metric in self.record["metrics"]}


Cli = Callable[..., Done]


def csv_text(rows: Sequence[Row]) -> str:
    """The question file that has these rows."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for item, number, dependency, tuple_, question in rows:
        writer.writerow([item, f"a prompt of {item}, long", "", number, dependency, "", "", tuple_, question])
    return out.getvalue()


def verdict_text(answers: Mapping[str, Mapping[int, Mapping[str, str]]]) -> str:
    """The verdict file of answers by item, crop and question."""
    return "".join(
        json.dumps({"item_id": item, "crop": crop, "answers": given}) + "\n"
        for item, crops in answers.items()
        for crop, given in crops.items()
    )
