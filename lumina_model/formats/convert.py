"""From any format to one that others read: diffusers or official."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import torch

from lumina_model.checkpoint import write_transformer
from lumina_model.errors import UserError
from lumina_model.formats import diffusers_folder, official_folder
from lumina_model.formats.load import Lora, apply_all, read_stored
from lumina_model.formats.official_folder import write_official
from lumina_model.formats.stored import Weights
from lumina_model.next_dit import NextDiT
from lumina_model.weights import Parts, component_folder

DTYPES = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}
WRITERS: dict[str, Callable[[NextDiT, Path, int], None]] = {
    diffusers_folder.FORMAT: write_transformer,
    official_folder.FORMAT: lambda model, folder, _sample_size: write_official(model, folder),
}


def convert(
    source: str | os.PathLike[str] | Parts,
    folder: str | os.PathLike[str],
    to: str,
    weights: str = "ema",
    lora: Iterable[Lora] = (),
    dtype: str | None = None,
) -> None:
    """Write a transformer of any known format as `to`, a key of `WRITERS`, into a new or empty folder.

    Without `lora` and `dtype` every tensor keeps its bytes; only `norm_final`, which nothing reads, is lost
    on the way from official weights and is ones on the way to them.

    Raises:
        UserError: an unknown format or dtype, a folder that is in use, or a source that cannot be read.
    """
    folder = Path(folder)
    if to not in WRITERS:
        raise UserError(f"expected a format out of {', '.join(WRITERS)}, found {to!r}; fix: --format")
    if dtype is not None and dtype not in DTYPES:
        raise UserError(f"expected a dtype out of {', '.join(DTYPES)}, found {dtype!r}; fix: --dtype")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"expected a new or empty folder, found files, at {folder}; fix: name another")
    path = component_folder(source, "transformer") if isinstance(source, Mapping) else source
    stored = read_stored(path, cast(Weights, weights))
    model = stored.module(DTYPES[dtype] if dtype else None)
    apply_all(model, lora)
    WRITERS[to](model, folder, stored.sample_size)
