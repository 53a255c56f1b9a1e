"""Votes as JSON lines: one object a line with the fields of a battle, which ``arena rate`` reads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arena.battles import Battle
from lumina_eval.files import write_lines


def write_votes(path: Path, battles: Sequence[Battle]) -> None:
    """Write one battle a line, at once or not at all."""
    write_lines(path, [json.dumps(dataclasses.asdict(one), ensure_ascii=False) for one in battles])
