"""``checkpoint.json``: what a checkpoint is, beside its weights.

It holds the training stage, the step counted from the start of the first stage, the image size, the sampling
that suits the weights, and the recipe. The trainer writes it last: where it is, the weights are complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lumina_model.errors import UserError
from lumina_model.weights import read_json

FILE = "checkpoint.json"
SCHEMA = 1


def write_checkpoint_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``folder/checkpoint.json`` whole or not at all."""
    partial = folder / (FILE + ".partial")
    text = json.dumps({"schema": SCHEMA, **record}, indent=2, sort_keys=True)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, folder / FILE)


def read_checkpoint_record(folder: Path) -> dict[str, Any]:
    """Read ``folder/checkpoint.json``.

    Raises:
        UserError: it is absent, broken, of another schema, or lacks stage or step.
    """
    record = read_json(folder / FILE)
    if record.get("schema") != SCHEMA or not {"stage", "step"} <= record.keys():
        raise UserError(
            f"expected schema {SCHEMA} with stage and step, found schema {record.get('schema')!r} and keys "
            f"{sorted(record)}, in {folder / FILE}; fix: restore the file that the trainer wrote"
        )
    return record
