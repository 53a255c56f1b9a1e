"""What the conversions of others' checkpoints share: reading the file, holding it to a shape, the record."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, write_atomic

Shape = tuple[int, ...]
#: How many names a message lists.
_SHOWN: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted; ``conversion.json`` beside the weights holds the same."""

    source: str
    source_sha256: str
    official: bool
    """True if the files are those that the benchmark names."""
    parameters: int
    sha256: str
    """Of the safetensors file that was written."""
    vocabulary_sha256: str | None = None
    """Of the file of words that the checkpoint does not hold; None where none is needed."""


def read_state(source: Path, key: str, whose: str, fetch: str) -> dict[str, Any]:
    """Return the tensors of a torch checkpoint by name: those under ``key``, or the whole file.

    ``whose`` checkpoint it is and the command that fetches it (``fetch``) are for messages. Only tensors and
    plain values are unpickled (``weights_only``): no code of the file runs.

    Raises UserError for a file that is not there or holds anything else.
    """
    import torch

    if not source.is_file():
        raise UserError(f"expected {whose} checkpoint, found no file {source}; fix: {fetch}")
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"expected a checkpoint of tensors and plain values, found something else, in {source}; "
            f"fix: {fetch}, or save its {key!r} alone where it was made"
        ) from error
    state = found.get(key, found) if isinstance(found, dict) else found
    if not isinstance(state, Mapping) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise UserError(f"expected {key!r} with tensors by name, found none, in {source}; fix: {fetch}")
    return {str(name): value for name, value in state.items()}


def check_shapes(
    found: Mapping[str, Shape], wanted: Mapping[str, Shape], what: str, source: Path, fix: str
) -> None:
    """Raise UserError unless names and shapes are those ``wanted``; all that is wrong is counted."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} ({list(found[name])} instead of {list(shape)})"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    told = [
        f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
        for what, names in (("missing", missing), ("unknown", extra), ("misshapen", misshapen))
        if names
    ]
    if told:
        raise UserError(
            f"expected the {len(wanted)} parameters of {what}, found {'; '.join(told)}, in {source}; "
            f"fix: {fix}"
        )


def write_folder(
    folder: Path,
    config: Any,
    state: Mapping[str, Any],
    source: Path,
    official_sha256: str,
    parameters: int,
    load: Callable[[], None],
    vocabulary: Path | None = None,
    official_vocabulary: str | None = None,
) -> Conversion:
    """Write config and weights (float32), ``load`` them to see that they are whole, then conversion.json.

    ``parameters`` are those of the source. ``official_sha256`` is what the source should be, and
    ``official_vocabulary`` what the vocabulary should, if there is one. What ``load`` raises leaves a folder
    without conversion.json.
    """
    import torch
    from safetensors.torch import save

    record, weights = make_folder(folder) / "conversion.json", folder / "model.safetensors"
    record.unlink(missing_ok=True)  # that of an earlier conversion
    config.save_pretrained(folder)
    # A copy of each: what is tied lies in one place in the file, and safetensors keeps every name apart.
    plain = {
        name: torch.empty(value.shape, dtype=torch.float32).copy_(value) for name, value in state.items()
    }
    write_atomic(weights, save(plain, metadata={"format": "pt"}))
    load()
    digest = sha256_file(source)
    words = None if vocabulary is None else sha256_file(vocabulary)
    official = digest == official_sha256 and words == official_vocabulary
    done = Conversion(source.name, digest, official, parameters, sha256_file(weights), words)
    write_atomic(record, (json.dumps({"schema": 1, **dataclasses.asdict(done)}, indent=2) + "\n").encode())
    return done
