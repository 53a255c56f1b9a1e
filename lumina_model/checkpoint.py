"""Weights on disk: the diffusers folder layout, checked reading, digests, and the map to official names.

A pipeline folder holds `transformer`, `vae`, `text_encoder`, `tokenizer`, `scheduler` and `model_index.json`.
Weights are safetensors, one file or shards with an index. Whatever is wrong with them is said as a
`UserError` that names the file or the tensor.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lumina_model.autoencoder import Autoencoder
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.text_encoder import TextEncoder
from lumina_model.time_grid import OFFICIAL_SHIFT

COMPONENTS = ("transformer", "text_encoder", "tokenizer", "vae", "scheduler")

Parts = Mapping[str, str | os.PathLike[str]]
"""Component name -> its folder, for checkpoints whose components lie in different places."""

TRANSFORMER_FILE = "diffusion_pytorch_model.safetensors"

MODEL_INDEX = {
    "_class_name": "Lumina2Pipeline",
    "transformer": ["diffusers", "Lumina2Transformer2DModel"],
    "text_encoder": ["transformers", "Gemma2Model"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
}

# What diffusers' Lumina2Transformer2DModel has fixed and therefore no key for.
_DIFFUSERS_FIXED = {"qk_norm_eps": 1e-5, "rope_theta": 10_000.0}


# ---- reading ---------------------------------------------------------------------------------------------


def component_folder(source: str | os.PathLike[str] | Parts, name: str) -> Path:
    """Folder of one component, given a pipeline folder or the folders of its parts.

    Raises:
        UserError: it does not exist.
    """
    if isinstance(source, Mapping):
        if name not in source:
            raise UserError(
                f"expected a folder for {name}, found only {', '.join(source) or 'none'}; fix: name it"
            )
        folder = Path(source[name])
    else:
        folder = Path(source) / name
    if not folder.is_dir():
        raise UserError(
            f"expected the folder {folder} with the {name}, found none; fix: check the checkpoint's path"
        )
    return folder


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
    return NextDiTConfig(**(_DIFFUSERS_FIXED | {name: record[name] for name in names & set(record)}))


def read_autoencoder(folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> Autoencoder:
    """The autoencoder of a diffusers `vae` folder, on the CPU."""
    from diffusers import AutoencoderKL

    folder = Path(folder)
    vae = AutoencoderKL.from_config(read_json(folder / "config.json"))
    load_checked(vae, dict(iterate_tensors(folder)), str(folder))
    return Autoencoder(vae.to(dtype))


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
        _check_finite(name, tensor, str(folder))
    model, found = Gemma2Model.from_pretrained(
        folder, dtype=dtype, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
    )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[problem]:
            raise UserError(
                f"expected the tensors of its config.json, found {problem.replace('_', ' ')}: "
                f"{sorted(map(str, found[problem]))[0]}, in {folder}; fix: restore its files"
            )
    # Not GemmaTokenizer: it rebuilds its own rules beside tokenizer.json and gives other ids.
    return TextEncoder(model, PreTrainedTokenizerFast.from_pretrained(tokenizer, local_files_only=True))


def read_shift(folder: str | os.PathLike[str]) -> float:
    """The static shift of a diffusers `scheduler` folder."""
    path = Path(folder) / "scheduler_config.json"
    record = read_json(path)
    if record.get("use_dynamic_shifting"):
        raise UserError(
            f"expected a static shift, found use_dynamic_shifting, in {path}; fix: give a static one"
        )
    return float(record.get("shift", 1.0))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; a missing or broken file is the user's to mend."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"expected the file {path}, found none; fix: check the checkpoint's path") from None
    except json.JSONDecodeError as error:
        raise UserError(f"expected JSON, found {error}, in {path}; fix: restore the file") from None
    if not isinstance(record, dict):
        raise UserError(
            f"expected a JSON object, found {type(record).__name__}, in {path}; fix: restore the file"
        )
    return record


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a component: the shards of its index, or the only one there is."""
    index = sorted(folder.glob("*.safetensors.index.json"))
    if index:
        return [folder / name for name in sorted(set(read_json(index[0])["weight_map"].values()))]
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"expected one .safetensors file or an index, found {found}, in {folder}; fix: restore it"
        )
    return files


def iterate_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of every weight of a component, in order of name, one at a time."""
    opened = {}
    for file in weight_files(folder):
        try:
            handle = safe_open(str(file), framework="pt")
        except FileNotFoundError:
            raise UserError(f"expected the file {file}, found none; fix: restore it") from None
        except SafetensorError as error:
            raise UserError(
                f"expected a complete safetensors file, found {error}, in {file}; fix: fetch it again"
            ) from None
        for name in handle.keys():  # noqa: SIM118 (not a mapping)
            opened[name] = handle
    for name in sorted(opened):
        yield name, opened[name].get_tensor(name)


def load_checked(
    module: nn.Module,
    tensors: dict[str, Tensor],
    where: str,
    dtype: torch.dtype | None = None,
    assign: bool = False,
) -> None:
    """Load tensors into a module after checking names, shapes and values.

    Raises:
        UserError: a tensor is missing, unexpected, of another shape, or has NaN or infinite values; the
            first of them in order of name is named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(
                f"expected tensor {name}, found none, in {where}; fix: restore the weights of this config"
            )
        if name not in expected:
            raise UserError(
                f"expected no tensor {name}, found one, in {where}; fix: use the config of these weights"
            )
        if tuple(tensors[name].shape) != expected[name]:
            raise UserError(
                f"expected shape {expected[name]} for tensor {name}, found {tuple(tensors[name].shape)}, "
                f"in {where}; fix: use the config of these weights"
            )
        _check_finite(name, tensors[name], where)
        if dtype is not None:
            tensors[name] = tensors[name].to(dtype)
    module.load_state_dict(tensors, assign=assign)


def _check_finite(name: str, tensor: Tensor, where: str) -> None:
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise UserError(
            f"expected finite values in tensor {name}, found {bad} NaN or infinite, in {where}; "
            "fix: restore the weights, or look at the training run that wrote them"
        )


# ---- writing ---------------------------------------------------------------------------------------------


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
    """Copy components from where they lie into one pipeline folder that diffusers loads."""
    folder = Path(folder)
    for name in COMPONENTS:
        shutil.copytree(component_folder(parts, name), folder / name, dirs_exist_ok=True)
    _write_json(folder / "model_index.json", MODEL_INDEX)


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, path)


# ---- digests ---------------------------------------------------------------------------------------------


def component_digests(source: str | os.PathLike[str] | Parts) -> dict[str, str]:
    """sha256 (hex) of each component: what an image key is made from.

    Weights count as (name, dtype, shape, bytes) in order of name, so that sharding or a file's metadata
    do not matter, plus the config without its private keys (`_…`) and library versions. Tokenizer:
    its files by name. The scheduler is left out: its shift is part of `Sampling`.
    """
    digests = {}
    for name in ("transformer", "text_encoder", "vae"):
        folder = component_folder(source, name)
        digest = hashlib.sha256(_canonical_config(folder / "config.json"))
        digest.update(bytes.fromhex(tensors_digest(iterate_tensors(folder))))
        digests[name] = digest.hexdigest()
    digests["tokenizer"] = files_digest(component_folder(source, "tokenizer"))
    return dict(sorted(digests.items()))


def tensors_digest(tensors: Iterator[tuple[str, Tensor]]) -> str:
    """sha256 over (name, dtype, shape, bytes) of tensors that come in order of name."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def files_digest(folder: Path) -> str:
    """sha256 over (name, length, bytes) of a folder's files in order of name."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        data = path.read_bytes()
        digest.update(json.dumps([path.name, len(data)]).encode())
        digest.update(data)
    return digest.hexdigest()


def _canonical_config(path: Path) -> bytes:
    record = read_json(path)
    kept = {key: value for key, value in record.items() if key[0] != "_" and key != "transformers_version"}
    return json.dumps(kept, sort_keys=True).encode()


# ---- official names --------------------------------------------------------------------------------------

# official -> diffusers, without the block's number; checked against both code bases.
_OUTSIDE_BLOCKS = {
    "x_embedder.weight": "x_embedder.weight",
    "x_embedder.bias": "x_embedder.bias",
    "t_embedder.mlp.0.weight": "time_caption_embed.timestep_embedder.linear_1.weight",
    "t_embedder.mlp.0.bias": "time_caption_embed.timestep_embedder.linear_1.bias",
    "t_embedder.mlp.2.weight": "time_caption_embed.timestep_embedder.linear_2.weight",
    "t_embedder.mlp.2.bias": "time_caption_embed.timestep_embedder.linear_2.bias",
    "cap_embedder.0.weight": "time_caption_embed.caption_embedder.0.weight",
    "cap_embedder.1.weight": "time_caption_embed.caption_embedder.1.weight",
    "cap_embedder.1.bias": "time_caption_embed.caption_embedder.1.bias",
    "final_layer.adaLN_modulation.1.weight": "norm_out.linear_1.weight",
    "final_layer.adaLN_modulation.1.bias": "norm_out.linear_1.bias",
    "final_layer.linear.weight": "norm_out.linear_2.weight",
    "final_layer.linear.bias": "norm_out.linear_2.bias",
}
_IN_EVERY_BLOCK = {
    "attention.out.weight": "attn.to_out.0.weight",
    "attention.q_norm.weight": "attn.norm_q.weight",
    "attention.k_norm.weight": "attn.norm_k.weight",
    "feed_forward.w1.weight": "feed_forward.linear_1.weight",
    "feed_forward.w2.weight": "feed_forward.linear_2.weight",
    "feed_forward.w3.weight": "feed_forward.linear_3.weight",
    "attention_norm2.weight": "norm2.weight",
    "ffn_norm1.weight": "ffn_norm1.weight",
    "ffn_norm2.weight": "ffn_norm2.weight",
}
_IN_MODULATED_BLOCKS = {
    "attention_norm1.weight": "norm1.norm.weight",
    "adaLN_modulation.1.weight": "norm1.linear.weight",
    "adaLN_modulation.1.bias": "norm1.linear.bias",
}
_IN_CONTEXT_REFINER = {"attention_norm1.weight": "norm1.weight"}
_FUSED, _SPLIT = "attention.qkv.weight", ("attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight")
_UNUSED = "norm_final.weight"  # in official checkpoints, never read by the official forward


def official_names(config: NextDiTConfig) -> dict[str, str | tuple[str, ...]]:
    """Official tensor name -> diffusers name, or the three names that a fused qkv is split into."""
    names: dict[str, str | tuple[str, ...]] = dict(_OUTSIDE_BLOCKS)
    stacks = (
        ("noise_refiner", config.num_refiner_layers, _IN_MODULATED_BLOCKS),
        ("context_refiner", config.num_refiner_layers, _IN_CONTEXT_REFINER),
        ("layers", config.num_layers, _IN_MODULATED_BLOCKS),
    )
    for stack, count, special in stacks:
        for prefix in (f"{stack}.{i}." for i in range(count)):
            names |= {prefix + old: prefix + new for old, new in (_IN_EVERY_BLOCK | special).items()}
            names[prefix + _FUSED] = tuple(prefix + part for part in _SPLIT)
    return names


def from_official(state: Mapping[str, Tensor], config: NextDiTConfig) -> dict[str, Tensor]:
    """Official tensors under diffusers' names: qkv split, the unused `norm_final` dropped."""
    names = official_names(config)
    kv = config.num_kv_heads * config.head_dim
    result: dict[str, Tensor] = {}
    for old, tensor in state.items():
        if old == _UNUSED:
            continue
        if old not in names:
            raise UserError(
                f"expected no tensor {old}, found one, in the official weights; fix: check the config"
            )
        new = names[old]
        if isinstance(new, tuple):
            result |= zip(new, tensor.split([config.hidden_size, kv, kv]), strict=True)
        else:
            result[new] = tensor
    return result


def to_official(state: Mapping[str, Tensor], config: NextDiTConfig) -> dict[str, Tensor]:
    """The inverse of `from_official`; `norm_final`, which nothing reads, is filled with ones."""
    result = {
        old: torch.cat([state[part] for part in new]) if isinstance(new, tuple) else state[new]
        for old, new in official_names(config).items()
    }
    result[_UNUSED] = torch.ones_like(state["layers.0.norm2.weight"])
    return result
