"""The batch size that a model finds for itself (``--batch-size auto``), kept beside the runs.

Batches decide the last bits of an image, so what was found once is taken again: a run that was killed goes on
in the same batches. ``OUT/batch_sizes/<model>-<digest16>.json`` is named by all that the size depends on: the
model with its weights and sampling, its environment (threads, say), the device by name, the longest text, and
the number of images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, is_user_error, reason_of
from lumina_eval.files import make_folder, write_atomic
from lumina_eval.migrations import parsed
from lumina_eval.plan import model_identity
from lumina_eval.plugins import Model
from lumina_eval.provenance import hardware
from lumina_eval.records import Record

#: The word in place of a number.
AUTO: Final = "auto"


def is_auto(text: str) -> bool:
    """Tell whether a size is to be found."""
    return text.strip().lower() == AUTO


class FoundBatch(Record):
    """What a model found, and what that depends on."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    batch_size: int = Field(ge=1)
    images_per_second: dict[int, float] = Field(default={})
    """Size to speed, as far as the model tells."""
    memory_bytes: dict[int, int | None] = Field(default={})
    """Size to the memory that such a batch takes beyond what is held without, as far as the model tells."""
    why: str = ""
    """Why no larger size was tried."""
    depends_on: dict[str, Any]

    @property
    def in_words(self) -> str:
        """The size, its speed, and those of the sizes beside it."""
        speeds = self.images_per_second
        if self.batch_size not in speeds:
            return f"batch size {self.batch_size}"
        sizes = sorted(speeds)
        place = sizes.index(self.batch_size)
        beside = [*sizes[max(0, place - 1) : place], *sizes[place + 1 : place + 2]]
        others = ", ".join(f"{size}: {speeds[size]:.3g}" for size in beside)
        told = f"batch size {self.batch_size}: about {speeds[self.batch_size]:.3g} images/s"
        return f"{told} ({others})" if others else told


def finds_its_batch(model: Model) -> bool:
    """Tell whether a model offers to look for its batch size."""
    return hasattr(model, "best_batch")


def batch_file(model: Model, prompts: Sequence[str], out: Path) -> Path:
    """Return where the size for these prompts is kept below ``out``."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", model.name)
    return out / "batch_sizes" / f"{name}-{digest_of(_depends_on(model, prompts))[:16]}.json"


def kept_batch(model: Model, prompts: Sequence[str], out: Path) -> FoundBatch | None:
    """Return what was found before; None if nothing was."""
    file = batch_file(model, prompts, out)
    again = f"rm {file}, and the size is looked for again"
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}; fix: mend its permissions") from error
    except ValueError as error:
        raise UserError(f"expected a batch size as JSON, found {error}, in {file}; fix: {again}") from error
    return parsed(value, FoundBatch, file, again)


def find_batch(model: Model, prompts: Sequence[str], out: Path) -> FoundBatch:
    """Let the model look for its size, and keep it.

    Raises UserError, before anything is looked for, if it could not be kept.
    """
    file = batch_file(model, prompts, out)
    make_folder(file.parent)
    best: Callable[[Sequence[str]], Mapping[str, Any]] = model.best_batch  # type: ignore[attr-defined]
    try:
        told = best(prompts)
    except Exception as error:
        if is_user_error(error):
            raise
        raise UserError(
            f"expected a batch size from best_batch of {model.name}, found {reason_of(error)}; "
            "fix: give --batch-size a number"
        ) from error
    try:
        found = FoundBatch(**told, depends_on=_depends_on(model, prompts))
    except (TypeError, ValidationError) as error:
        raise UserError(
            f"expected a mapping with batch_size, a number from 1, from best_batch of {model.name}, found "
            f"{told!r}; fix: return what lumina_eval/plugins.py describes, or give --batch-size a number"
        ) from error
    # Of two commands at once the one that ends later takes what the other one has kept.
    before = kept_batch(model, prompts, out)
    if before is not None:
        return before
    write_atomic(file, f"{found.model_dump_json(indent=2)}\n".encode())
    return found


def _depends_on(model: Model, prompts: Sequence[str]) -> dict[str, Any]:
    machine = hardware()
    on_processor = model.device.split(":")[0] == "cpu"
    environment: Callable[[], Mapping[str, Any]] = getattr(model, "environment", dict)
    return {
        **model_identity(model),
        "environment": dict(environment()),
        "device_name": machine["processor"] if on_processor else machine.get("accelerators", []),
        "longest_text": max(len(model.final_text(prompt)) for prompt in set(prompts)),
        "images": len(prompts),
    }
