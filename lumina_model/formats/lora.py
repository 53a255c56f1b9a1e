"""LoRA adapters, added to the weights: W + scale · alpha / rank · B·A. PEFT does the arithmetic.

Two ways of naming are known: that of PEFT and diffusers (`transformer.layers.0.attn.to_q.lora_A.weight`) and
the official one, which ComfyUI has too (`diffusion_model.layers.0.attention.qkv.lora_A.weight`). There,
query, key and value are one matrix: all three get its A, and each its own rows of B.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lumina_model.errors import UserError
from lumina_model.float8 import Float8Linear
from lumina_model.next_dit import NextDiT
from lumina_model.official_names import our_names
from lumina_model.weights import check_finite, open_safetensors, read_json

FILES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")  # in a folder of PEFT, of diffusers
CONFIG = "adapter_config.json"
_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.")
_ENDS = {
    ".lora_A.weight": "A",
    ".lora_down.weight": "A",
    ".lora_B.weight": "B",
    ".lora_up.weight": "B",
    ".alpha": "alpha",
}


@dataclass(frozen=True)
class _Adapter:
    """What is added to one matrix (out, in)."""

    a: Tensor  # (rank, in)
    b: Tensor  # (out, rank)
    alpha: float


def apply_lora(transformer: NextDiT, path: str | os.PathLike[str], scale: float = 1.0) -> None:
    """Add a LoRA to the weights of a transformer, in place.

    Args:
        transformer: on any device; its dtype, mode and `requires_grad` stay.
        path: a .safetensors file, or the folder that PEFT or diffusers wrote.
        scale: of what is added; 0 changes nothing, negative ones take away.

    Alpha is that of the file's `.alpha` tensor, else of `adapter_config.json` or of what diffusers wrote into
    the file's metadata, else the rank, as all loaders have it.

    Raises:
        UserError: the file is missing or broken, or a tensor is not for this transformer; it is named.
    """
    file = _file(Path(path))
    handle = open_safetensors(file)
    settings = _settings(file, handle.metadata() or {})
    tensors = {name: handle.get_tensor(name) for name in sorted(handle.keys())}
    _merge(transformer, _fitted(transformer, tensors, settings, str(file)), scale, settings)


def adapter_digest(path: str | os.PathLike[str]) -> str:
    """sha256 over an adapter's file and, where it is in a folder of PEFT, its `adapter_config.json`.

    Raises:
        UserError: there is no such adapter.
    """
    file = _file(Path(path))
    if not file.is_file():
        raise UserError(f"expected the LoRA {file}, found no such file; fix: check its path")
    digest = hashlib.sha256(file.read_bytes())
    if file.name == FILES[0] and (config := file.parent / CONFIG).is_file():
        digest.update(config.read_bytes())
    return digest.hexdigest()


def _file(path: Path) -> Path:
    found = [path / name for name in FILES if (path / name).is_file()] if path.is_dir() else [path]
    if not found or found[0].suffix != ".safetensors":
        raise UserError(
            f"expected a .safetensors file, or {' or '.join(FILES)} in a folder, found none, at {path}; "
            "fix: check the LoRA's path, or save it as safetensors"
        )
    return found[0]


def _settings(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """PEFT's settings of an adapter, from where PEFT or diffusers put them; empty if nobody wrote any."""
    if file.name == FILES[0] and (file.parent / CONFIG).is_file():
        return read_json(file.parent / CONFIG)
    try:
        record = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        return {key.removeprefix("transformer."): value for key, value in record.items()}
    except (json.JSONDecodeError, AttributeError) as error:
        raise UserError(
            f"expected JSON as lora_adapter_metadata, found {error}, in {file}; fix: restore the file"
        ) from error


def _fitted(
    transformer: NextDiT, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], where: str
) -> dict[str, _Adapter]:
    """Module of the transformer -> what is added to it, after all tensors were checked."""
    groups: dict[str, dict[str, str]] = {}  # module as the file has it -> "A", "B", "alpha" -> tensor
    for name, tensor in tensors.items():
        end = next((end for end in _ENDS if name.endswith(end)), None)
        if end is None:
            raise UserError(
                f"expected tensors that end in {', '.join(_ENDS)}, found {name}, in {where}; "
                "fix: give a plain LoRA; other kinds of adapters are not supported"
            )
        check_finite(name, tensor, where)
        group = groups.setdefault(_without_prefix(name.removesuffix(end)), {})
        if _ENDS[end] in group:
            raise _twice(group[_ENDS[end]], name, where)
        group[_ENDS[end]] = name
    if not groups:
        raise UserError(f"expected a LoRA, found no tensors, in {where}; fix: restore the file")

    if any(isinstance(module, Float8Linear) for module in transformer.modules()):
        raise UserError("expected a transformer before to_float8, found one after; fix: apply the LoRA first")
    linear = {name: module for name, module in transformer.named_modules() if isinstance(module, nn.Linear)}
    adapters: dict[str, _Adapter] = {}
    for module, names in groups.items():
        targets = [new.removesuffix(".weight") for new in our_names(f"{module}.weight")] or [module]
        if any(target not in linear for target in targets):
            near = difflib.get_close_matches(targets[0], linear, n=1)
            raise UserError(
                f"expected a matrix of this transformer, found {next(iter(names.values()))}"
                f"{''.join(f' (nearest: {other})' for other in near)}, in {where}; "
                "fix: give a LoRA of this model"
            )
        if twice := adapters.keys() & set(targets):
            raise _twice(min(twice), next(iter(names.values())), where)
        a, b = _pair(names, tensors, [linear[target] for target in targets], where)
        alpha = _alpha(names, tensors, settings, module, len(a), where)
        rows = b.split([linear[target].out_features for target in targets])
        adapters |= {target: _Adapter(a, part, alpha) for target, part in zip(targets, rows, strict=True)}
    return adapters


def _twice(one: str, other: str, where: str) -> UserError:
    return UserError(
        f"expected one LoRA per matrix, found {other} beside {one}, in {where}; fix: apply them one by one"
    )


def _without_prefix(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _pair(
    names: Mapping[str, str], tensors: Mapping[str, Tensor], modules: list[nn.Linear], where: str
) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank), with the rows of all modules in B."""
    for one, other in (("A", "B"), ("B", "A")):
        if one not in names:
            beside = names.get(other, names.get("alpha"))
            raise UserError(
                f"expected lora_A and lora_B, found no lora_{one} beside {beside}, in {where}; "
                "fix: restore the file"
            )
    a, b = tensors[names["A"]], tensors[names["B"]]
    rank = a.shape[0] if a.ndim else 0
    columns, rows = modules[0].in_features, sum(module.out_features for module in modules)
    for name, tensor, shape in ((names["A"], a, (rank, columns)), (names["B"], b, (rows, rank))):
        if tuple(tensor.shape) != shape or rank < 1:
            raise UserError(
                f"expected shape {shape} for tensor {name}, found {tuple(tensor.shape)}, in {where}; "
                "fix: give a LoRA of this model"
            )
    return a, b


def _alpha(
    names: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    module: str,
    rank: int,
    where: str,
) -> float:
    if "alpha" in names:
        tensor = tensors[names["alpha"]]
        if tensor.numel() != 1:
            raise UserError(
                f"expected one number as {names['alpha']}, found shape {tuple(tensor.shape)}, in {where}; "
                "fix: restore the file"
            )
        return float(tensor)
    from peft.utils.other import get_pattern_key

    patterns = settings.get("alpha_pattern") or {}
    key = get_pattern_key(list(patterns), module)
    alpha = patterns.get(key, settings.get("lora_alpha", rank))
    if not isinstance(alpha, (int, float)):
        raise UserError(
            f"expected a number as lora_alpha, found {alpha!r}, in the settings of {where}; "
            "fix: restore the file"
        )
    return float(alpha)


def _merge(
    transformer: NextDiT, adapters: Mapping[str, _Adapter], scale: float, settings: Mapping[str, Any]
) -> None:
    from peft import LoraConfig, LoraModel, set_peft_model_state_dict

    # Kept because PEFT freezes what it adapts.
    trained = {name: parameter.requires_grad for name, parameter in transformer.named_parameters()}
    config = LoraConfig(
        target_modules=list(adapters),
        # Escaped, since PEFT takes the names as patterns.
        rank_pattern={re.escape(name): len(adapter.a) for name, adapter in adapters.items()},
        alpha_pattern={re.escape(name): scale * adapter.alpha for name, adapter in adapters.items()},
        use_rslora=bool(settings.get("use_rslora")),
        init_lora_weights=False,  # they are about to be loaded
    )
    tuner = LoraModel(transformer, config, "lora")
    tensors = {}
    for name, adapter in adapters.items():
        tensors[f"{name}.lora_A.weight"] = adapter.a
        tensors[f"{name}.lora_B.weight"] = adapter.b
    set_peft_model_state_dict(transformer, tensors, "lora")
    tuner.merge_and_unload()
    for name, parameter in transformer.named_parameters():
        parameter.requires_grad_(trained[name])
