"""The official checkpoint's tensor names, as data, and the way there and back.

Ours are those of diffusers' `Lumina2Transformer2DModel`. No tensor is transposed or negated between the two;
the official code fuses query, key and value into one matrix.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiTConfig

# official -> diffusers, without the block's number; each block also has a fused qkv.
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
_BLOCKS = {
    "noise_refiner": _IN_EVERY_BLOCK | _IN_MODULATED_BLOCKS,
    "context_refiner": _IN_EVERY_BLOCK | _IN_CONTEXT_REFINER,
    "layers": _IN_EVERY_BLOCK | _IN_MODULATED_BLOCKS,
}
_FUSED, _SPLIT = "attention.qkv.weight", ("attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight")
UNUSED = "norm_final.weight"  # in official checkpoints, never read by the official forward
OFFICIAL_CLUE = "cap_embedder.0.weight"  # every official checkpoint has it, and no other

# Size of ours -> factory in the official models/model.py, which `model_args.pth` names.
FACTORIES = {
    "2.6B": "NextDiT_2B_GQA_patch2_Adaln_Refiner",
    "3B": "NextDiT_3B_GQA_patch2_Adaln_Refiner",
    "4B": "NextDiT_4B_GQA_patch2_Adaln_Refiner",
    "7B": "NextDiT_7B_GQA_patch2_Adaln_Refiner",
}
OFFICIAL_QK_NORM_EPS = 1e-6  # the official code's default; diffusers has 1e-5


def our_names(official: str) -> tuple[str, ...]:
    """Diffusers name of an official one, whatever the config: one, three for a fused qkv, none if unknown."""
    if official in _OUTSIDE_BLOCKS:
        return (_OUTSIDE_BLOCKS[official],)
    stack, _, rest = official.partition(".")
    number, _, name = rest.partition(".")
    if stack not in _BLOCKS or not number.isdecimal():
        return ()
    new = _SPLIT if name == _FUSED else (_BLOCKS[stack][name],) if name in _BLOCKS[stack] else ()
    return tuple(f"{stack}.{number}.{part}" for part in new)


def official_names(config: NextDiTConfig) -> dict[str, str | tuple[str, ...]]:
    """Official tensor name -> diffusers name, or the three names that a fused qkv is split into."""
    names: dict[str, str | tuple[str, ...]] = dict(_OUTSIDE_BLOCKS)
    for stack, special in _BLOCKS.items():
        count = config.num_layers if stack == "layers" else config.num_refiner_layers
        for prefix in (f"{stack}.{i}." for i in range(count)):
            names |= {prefix + old: prefix + new for old, new in special.items()}
            names[prefix + _FUSED] = tuple(prefix + part for part in _SPLIT)
    return names


def from_official(state: Mapping[str, Tensor], config: NextDiTConfig) -> dict[str, Tensor]:
    """Official tensors under diffusers' names: qkv split, the unused `norm_final` dropped."""
    names = official_names(config)
    kv = config.num_kv_heads * config.head_dim
    result: dict[str, Tensor] = {}
    for old, tensor in state.items():
        if old == UNUSED:
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
    """The inverse of `from_official`, but for `norm_final`: nothing reads it, we lack it, so it is ones."""
    result = {
        old: torch.cat([state[part] for part in new]) if isinstance(new, tuple) else state[new]
        for old, new in official_names(config).items()
    }
    result[UNUSED] = torch.ones_like(state["layers.0.norm2.weight"])
    return result
