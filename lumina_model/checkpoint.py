"""Checkpoints in the diffusers folder layout: `transformer`, `vae`, `text_encoder`, `tokenizer`, `scheduler`.

The one door to weights on disk: `digests.component_digests` and the official names are to be had here too.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lumina_model import checkpoint_record
from lumina_model.autoencoder import Autoencoder
from lumina_model.digests import component_digests
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.official_names import from_official, official_names, to_official
from lumina_model.text_encoder import TextEncoder
from lumina_model.time_grid import OFFICIAL_SHIFT
from lumina_model.weights import (
    Parts,
    check_finite,
    component_folder,
    iterate_tensors,
    load_checked,
    read_json,
)

__all__ = [
    "COMPONENTS",
    "Parts",
    "assemble_pipeline",
    "component_digests",
    "component_folder",
    "from_official",
    "official_names",
    "read_autoencoder",
    "read_schedule",
    "read_text_encoder",
    "read_transformer",
    "read_transformer_config",
    "to_official",
    "write_autoencoder",
    "write_pipeline",
    "write_scheduler",
    "write_transformer",
    "write_transformer_tensors",
]

COMPONENTS = ("transformer", "text_encoder", "tokenizer", "vae", "scheduler")

TRANSFORMER_FILE = "diffusion_pytorch_model.safetensors"

MODEL_INDEX = {
    "_class_name": "Lumina2Pipeline",
    "transformer": ["diffusers", "Lumina2Transformer2DModel"],
    "text_encoder": ["transformers", "Gemma2Model"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
}

# diffusers' FlowMatchEulerDiscreteScheduler: its defaults for the dynamic shift, which are the official ones.
_DYNAMIC = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
            "time_shift_type": "exponential"}  # fmt: skip

# What diffusers' Lumina2Transformer2DModel has fixed and therefore no key for.
_DIFFUSERS_FIXED = {"qk_norm_eps": 1e-5, "rope_theta": 10_000.0}


def read_transformer(folder: str | os.PathLike[str], dtype: torch.dtype | None = None) -> NextDiT:
    """Next-DiT from a diffusers `transformer` folder, on the CPU, in `dtype` or as stored."""
    folder = Path(folder)
    config = read_transformer_config(folder)
    with torch.device("meta"):
        model = NextDiT(config)
    load_checked(model, dict(iterate_tensors(folder)), str(folder), dtype, assign=True)
    return model


def read_transformer_config(folder: str | os.PathLike[str]) -> NextDiTConfig:
    """The config of a diffusers `transformer` folder."""
    path = Path(folder) / "config.json"
    record = read_json(path)
    if record.get("_class_name") != "Lumina2Transformer2DModel":
        raise UserError(
            f"expected a Lumina2Transformer2DModel, found {record.get('_class_name')!r}, in {path}; "
            "fix: give the folder of a Lumina-Image 2.0 transformer"
        )
    if record.get("out_channels") not in (None, record.get("in_channels")):
        raise UserError(
            f"expected as many output as input channels, found {record['out_channels']}, in {path}; "
            "fix: this variant is not supported"
        )
    names = {field.name for field in fields(NextDiTConfig)}
    missing = sorted(names - set(record) - set(_DIFFUSERS_FIXED))
    if missing:
        raise UserError(
            f"expected {', '.join(missing)}, found no such key, in {path}; fix: complete the config"
        )
    with _told(path, "the config of a transformer"):
        return NextDiTConfig(**(_DIFFUSERS_FIXED | {name: record[name] for name in names & set(record)}))


def read_autoencoder(folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> Autoencoder:
    """The autoencoder of a diffusers `vae` folder, on the CPU."""
    from diffusers import AutoencoderKL

    folder = Path(folder)
    with _told(folder, "an autoencoder's config"), torch.device("meta"):
        vae = AutoencoderKL.from_config(read_json(folder / "config.json"))
    load_checked(vae, dict(iterate_tensors(folder)), str(folder), dtype, assign=True)
    return Autoencoder(vae)


def read_text_encoder(
    folder: str | os.PathLike[str], tokenizer: str | os.PathLike[str], dtype: torch.dtype = torch.float32
) -> TextEncoder:
    """The text encoder and tokenizer of two folders, on the CPU."""
    from transformers import Gemma2Model, PreTrainedTokenizerFast

    folder, tokenizer = Path(folder), Path(tokenizer)
    if not (tokenizer / "tokenizer.json").is_file():
        raise UserError(
            f"expected {tokenizer / 'tokenizer.json'}, found no such file; fix: check the tokenizer folder"
        )
    for name, tensor in iterate_tensors(folder):
        check_finite(name, tensor, str(folder))
    with _told(folder, "a Gemma-2 text encoder"), _without_progress_bar():
        loaded: Any = Gemma2Model.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    model, found = loaded
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[problem]:
            raise UserError(
                f"expected the tensors of its config.json, found {problem.replace('_', ' ')}: "
                f"{sorted(map(str, found[problem]))[0]}, in {folder}; fix: restore its files"
            )
    with _told(tokenizer, "a tokenizer"):
        # Not GemmaTokenizer: it rebuilds its own rules beside tokenizer.json and gives other ids.
        words = PreTrainedTokenizerFast.from_pretrained(tokenizer, local_files_only=True)
    return TextEncoder(model, words)


def read_schedule(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The time grid's shift in a diffusers `scheduler` folder, as fields of `Sampling`.

    A static shift, or the dynamic one with the only numbers that are known for Lumina (`time_grid`).
    """
    path = Path(folder) / "scheduler_config.json"
    record = read_json(path)
    with _told(path, "a number as shift"):
        if not record.get("use_dynamic_shifting"):
            return {"shift": float(record.get("shift", 1.0))}
    numbers = {name: record.get(name, value) for name, value in _DYNAMIC.items()}
    if numbers != _DYNAMIC:
        raise UserError(
            f"expected a static shift, or a dynamic one with {_DYNAMIC}, found {numbers}, in {path}; "
            "fix: give a static one"
        )
    return {"dynamic_shift": True}


def transformer_config_json(config: NextDiTConfig, sample_size: int) -> dict[str, Any]:
    """The config as diffusers writes it; what it has no key for is added only where it differs."""
    record = {"_class_name": "Lumina2Transformer2DModel", "sample_size": sample_size, "out_channels": None}
    record |= {"scaling_factor": 1.0} | asdict(config)
    for name, fixed in _DIFFUSERS_FIXED.items():
        if record[name] == fixed:
            del record[name]
    return record


def write_transformer(model: NextDiT, folder: str | os.PathLike[str], sample_size: int = 128) -> None:
    """Write a `transformer` folder that diffusers loads.

    Args:
        model: weights are written in their own dtype.
        folder: made if needed; its two files are replaced one after the other, each whole or not at all.
        sample_size: latent side that diffusers takes as default image size (128 = 1024 px).
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_transformer_tensors(state, model.config, folder, sample_size)


def write_transformer_tensors(
    state: dict[str, Tensor], config: NextDiTConfig, folder: str | os.PathLike[str], sample_size: int = 128
) -> None:
    """`write_transformer` for tensors by name, e.g. averaged weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (TRANSFORMER_FILE + ".partial")
    save_file(state, str(partial), metadata={"format": "pt"})
    os.replace(partial, folder / TRANSFORMER_FILE)
    _write_json(folder / "config.json", transformer_config_json(config, sample_size))


def write_scheduler(folder: str | os.PathLike[str], shift: float = OFFICIAL_SHIFT) -> None:
    """Write a `scheduler` folder: flow matching, Euler, static shift."""
    record = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": shift}
    Path(folder).mkdir(parents=True, exist_ok=True)
    _write_json(Path(folder) / "scheduler_config.json", record | {"use_dynamic_shifting": False})


def write_autoencoder(autoencoder: Autoencoder, folder: str | os.PathLike[str]) -> None:
    """Write a `vae` folder; the shift is always a number, since diffusers' pipeline fails on null."""
    autoencoder.vae.register_to_config(shift_factor=autoencoder.shift)
    autoencoder.vae.save_pretrained(folder)


def write_pipeline(
    folder: str | os.PathLike[str],
    transformer: NextDiT,
    text_encoder: TextEncoder,
    autoencoder: Autoencoder,
    shift: float = OFFICIAL_SHIFT,
    sample_size: int = 128,
) -> None:
    """Write a whole pipeline folder, which diffusers' `Lumina2Pipeline.from_pretrained` loads."""
    folder = Path(folder)
    write_transformer(transformer, folder / "transformer", sample_size)
    write_autoencoder(autoencoder, folder / "vae")
    text_encoder.model.save_pretrained(folder / "text_encoder")
    text_encoder.tokenizer.save_pretrained(folder / "tokenizer")
    write_scheduler(folder / "scheduler", shift)
    _write_json(folder / "model_index.json", MODEL_INDEX)


def assemble_pipeline(parts: Parts, folder: str | os.PathLike[str]) -> None:
    """Copy components, and the record of the checkpoint, into one pipeline folder that diffusers loads."""
    folder = Path(folder)
    for name in COMPONENTS:
        shutil.copytree(component_folder(parts, name), folder / name, dirs_exist_ok=True)
    record = component_folder(parts, "transformer").parent / checkpoint_record.FILE
    if record.is_file():
        shutil.copyfile(record, folder / checkpoint_record.FILE)
    _write_json(folder / "model_index.json", MODEL_INDEX)


@contextlib.contextmanager
def _told(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a library raises on a broken file into a `UserError`; some raise bare exceptions."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"expected {expected}, found {reason}, in {path}; fix: restore the file") from error


@contextlib.contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing its own bar while it reads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, path)
