"""A transformer or a pipeline from whatever it is stored in."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import torch

from lumina_model.errors import UserError
from lumina_model.float8 import stored_dtype
from lumina_model.formats.hub import local_pipeline, local_transformer
from lumina_model.formats.lora import apply_lora
from lumina_model.formats.recognise import READERS, recognise
from lumina_model.formats.stored import Stored, Weights
from lumina_model.next_dit import NextDiT
from lumina_model.pipeline import Pipeline

Lora = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]
"""A LoRA's path, or the path and the scale that it is added with."""


def load_transformer(
    path: str | os.PathLike[str],
    dtype: torch.dtype | None = torch.float32,
    weights: Weights = "ema",
    lora: Iterable[Lora] = (),
) -> NextDiT:
    """A transformer for inference, on the CPU, from any known format.

    Args:
        path: a diffusers pipeline or transformer folder, an official folder, a .safetensors file, a folder
            of torch.distributed.checkpoint, or the id of a model on the Hugging Face hub (`owner/name`).
        dtype: of all weights; None for as stored.
        weights: where a checkpoint has both. One that has only a single set gives that for "ema".
        lora: adapters that are added to the weights, in this order, with scale 1 or their own.

    Raises:
        UserError: the path is no such checkpoint, or it is broken, or an adapter is for another model.
    """
    model = read_stored(path, weights).module(dtype)
    apply_all(model, lora)
    return model


def apply_all(model: NextDiT, lora: Iterable[Lora]) -> None:
    """Add adapters to the weights, in this order."""
    for item in lora:
        adapter, scale = item if isinstance(item, tuple) else (item, 1.0)
        apply_lora(model, adapter, scale)


def read_stored(path: str | os.PathLike[str], weights: Weights = "ema") -> Stored:
    """Config and tensors as they are stored, from any known format; see `load_transformer`."""
    if weights not in get_args(Weights):
        known = " or ".join(get_args(Weights))
        raise UserError(f"expected the weights {known}, found {weights!r}; fix: take one of them")
    local = local_transformer(path)
    return READERS[recognise(local)](local, weights)


def load_pipeline(
    path: str | os.PathLike[str],
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    low_memory: bool = False,
    transformer: str | os.PathLike[str] | None = None,
    weights: Weights = "ema",
    lora: Iterable[Lora] = (),
) -> Pipeline:
    """A whole pipeline from a folder in diffusers layout or from the Hugging Face hub (`owner/name`).

    Args:
        path: the folder or the id.
        device: where everything is put.
        dtype: float32, bfloat16 or float8, see `Pipeline.load`.
        low_memory: see `Pipeline.load`.
        transformer: another one in place of the folder's, in any form that `load_transformer` reads.
        weights: of that transformer.
        lora: see `load_transformer`.

    Raises:
        UserError: a file is missing or broken, or the parts do not fit each other.
    """
    folder = Path(local_pipeline(path))
    adapters = list(lora)
    if transformer is None and not adapters:
        return Pipeline.load(folder, device, dtype, low_memory)
    source = folder if transformer is None else transformer
    return Pipeline.load(
        folder,
        device,
        dtype,
        low_memory,
        lambda: load_transformer(source, stored_dtype(dtype), weights, adapters),
    )
