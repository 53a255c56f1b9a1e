"""Transformers on disk, written by hand: what the tests of the formats read."""

from __future__ import annotations

import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import checkpoint

from lumina_model.formats import write_official
from lumina_model.next_dit import NextDiT, NextDiTConfig

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def small() -> NextDiT:
    """A model whose config its shapes tell: heads of 24, three axes of 8."""
    config = NextDiTConfig(
        hidden_size=96,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=4,
        num_kv_heads=2,
        axes_dim_rope=(8, 8, 8),
        cap_feat_dim=40,
    )
    model = NextDiT(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


def official_by_hand(model: NextDiT) -> State:
    """The official tensors, written down name by name from the official module."""
    state = model.state_dict()
    text = "time_caption_embed.caption_embedder"
    time = "time_caption_embed.timestep_embedder"
    official = {
        "x_embedder.weight": state["x_embedder.weight"],
        "x_embedder.bias": state["x_embedder.bias"],
        "t_embedder.mlp.0.weight": state[f"{time}.linear_1.weight"],
        "t_embedder.mlp.0.bias": state[f"{time}.linear_1.bias"],
        "t_embedder.mlp.2.weight": state[f"{time}.linear_2.weight"],
        "t_embedder.mlp.2.bias": state[f"{time}.linear_2.bias"],
        "cap_embedder.0.weight": state[f"{text}.0.weight"],
        "cap_embedder.1.weight": state[f"{text}.1.weight"],
        "cap_embedder.1.bias": state[f"{text}.1.bias"],
        "norm_final.weight": torch.full_like(state["layers.0.norm2.weight"], 3.0),
        "final_layer.linear.weight": state["norm_out.linear_2.weight"],
        "final_layer.linear.bias": state["norm_out.linear_2.bias"],
        "final_layer.adaLN_modulation.1.weight": state["norm_out.linear_1.weight"],
        "final_layer.adaLN_modulation.1.bias": state["norm_out.linear_1.bias"],
    }
    for block in ("noise_refiner.0", "context_refiner.0", "layers.0", "layers.1"):
        qkv = [state[f"{block}.attn.to_{letter}.weight"] for letter in "qkv"]
        official |= {
            f"{block}.attention.qkv.weight": torch.cat(qkv),
            f"{block}.attention.out.weight": state[f"{block}.attn.to_out.0.weight"],
            f"{block}.attention.q_norm.weight": state[f"{block}.attn.norm_q.weight"],
            f"{block}.attention.k_norm.weight": state[f"{block}.attn.norm_k.weight"],
            f"{block}.feed_forward.w1.weight": state[f"{block}.feed_forward.linear_1.weight"],
            f"{block}.feed_forward.w2.weight": state[f"{block}.feed_forward.linear_2.weight"],
            f"{block}.feed_forward.w3.weight": state[f"{block}.feed_forward.linear_3.weight"],
            f"{block}.attention_norm2.weight": state[f"{block}.norm2.weight"],
            f"{block}.ffn_norm1.weight": state[f"{block}.ffn_norm1.weight"],
            f"{block}.ffn_norm2.weight": state[f"{block}.ffn_norm2.weight"],
        }
        if block == "context_refiner.0":
            official[f"{block}.attention_norm1.weight"] = state[f"{block}.norm1.weight"]
        else:
            official[f"{block}.attention_norm1.weight"] = state[f"{block}.norm1.norm.weight"]
            official[f"{block}.adaLN_modulation.1.weight"] = state[f"{block}.norm1.linear.weight"]
            official[f"{block}.adaLN_modulation.1.bias"] = state[f"{block}.norm1.linear.bias"]
    return official


def same(model: NextDiT, other: NextDiT, plus: float = 0.0) -> None:
    """Bit by bit, but for what was added to the x_embedder's bias."""
    expected, found = model.state_dict(), other.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor + plus if name == "x_embedder.bias" else tensor), name


def shifted(state: State, plus: float) -> State:
    return state | {"x_embedder.bias": state["x_embedder.bias"] + plus}


def write_dcp(folder: Path, state: dict[str, Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checkpoint.save(state, checkpoint_id=folder, no_dist=True)
    return folder


def write_tiny_official(folder: Path, small: NextDiT, **arguments: Any) -> Path:
    """As the official train.py leaves it, but with a model that no factory has."""
    write_official(small, folder)
    own = Namespace(**vars(torch_load(folder / "model_args.pth")) | {"lr": 1e-4, "ema": True} | arguments)
    torch.save(own, folder / "model_args.pth")
    return folder


def torch_load(path: Path) -> Any:
    return torch.load(path, weights_only=False)
