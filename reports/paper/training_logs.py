"""Loss logs that ``lumina-model train`` writes: ``DIR/training/STAGE/log.jsonl``."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lumina_eval.errors import UserError
from reports.groups import STAGES
from reports.loading import load_run
from reports.paper.checkpoint_facts import checkpoint_folder

FILE: Final = "log.jsonl"


@dataclasses.dataclass(frozen=True)
class TrainingLog:
    """The loss of one stage against its own steps."""

    stage: str
    captions: str
    """Shares of the caption levels in words, as the recipe has them; empty if unknown."""
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def training_logs(inputs: Sequence[Path]) -> list[TrainingLog]:
    """Read the logs of training folders, and of the training that made the checkpoint of a run folder.

    Raises UserError for a log that is broken before its last line.
    """
    files: dict[Path, None] = {}
    for path in inputs:
        for folder in _training_folders(path):
            found = sorted((folder / "training").glob(f"*/{FILE}"))
            files |= dict.fromkeys(file.resolve() for file in found)
    read = [log for file in files if (log := _read(file)).steps]
    return sorted(read, key=lambda log: STAGES.index(log.stage) if log.stage in STAGES else len(STAGES))


def _training_folders(path: Path) -> list[Path]:
    if (path / "training").is_dir():
        return [path]
    if not (path / "manifest.json").is_file():
        return []
    folder = checkpoint_folder(load_run(path))
    return [folder.resolve().parent.parent] if folder and folder.resolve().parent.name == "stages" else []


def _read(file: Path) -> TrainingLog:
    points: dict[int, float] = {}
    lines = file.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line) if line else {}
            loss, step = record.get("loss"), record.get("step")
        except (ValueError, AttributeError) as error:
            if number == len(lines):
                break  # a training that was stopped while it wrote
            raise UserError(f"{file}:{number}: expected a JSON object, found {line[:40]!r}") from error
        if isinstance(loss, int | float) and isinstance(step, int) and math.isfinite(loss):
            points[step] = float(loss)  # a resumed training says a step again
    stage = file.parent.name
    steps = tuple(sorted(points))
    return TrainingLog(
        stage, _captions(file.parents[2] / "stages" / stage), steps, tuple(points[s] for s in steps)
    )


def _captions(folder: Path) -> str:
    try:
        record: dict[str, Any] = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        shares = record["recipe"]["levels"].items()
        return ", ".join(f"{name} {share:.0%}" for name, share in sorted(shares, key=lambda one: -one[1]))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return ""
