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


def forget_checkpoint_record(folder: Path) -> None:
    """Remove ``folder/checkpoint.json`` before the weights beside it are replaced."""
    (folder / FILE).unlink(missing_ok=True)


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
    expected = {"schema": int, "stage": str, "step": int, "sampling": dict}
    found = {"sampling": {}, **record}
    wrong = [key for key, kind in expected.items() if not isinstance(found.get(key), kind)]
    if wrong or record["schema"] != SCHEMA:
        key = wrong[0] if wrong else "schema"
        kind = SCHEMA if key == "schema" else f"a value of type {expected[key].__name__}"
        raise UserError(
            f"expected {kind} for {key}, found {record.get(key)!r}, in {folder / FILE}; "
            "fix: restore the file that the trainer wrote"
        )
    return record
