"""Single safetensors files, and the config that their shapes tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    State,
    official_by_hand,
    same,
    shifted,
)
from safetensors.torch import save_file

from lumina_model import load_transformer
from lumina_model.errors import UserError
from lumina_model.formats import recognise
from lumina_model.formats.shapes import infer_config
from lumina_model.formats.stored import empty, shapes_of
from lumina_model.next_dit import CONFIGS, NextDiT
from lumina_model.official_names import to_official


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "model.diffusion_model."])
@pytest.mark.parametrize("official", [True, False])
def test_single_files(tmp_path: Path, small: NextDiT, prefix: str, official: bool) -> None:
    tensors = official_by_hand(small) if official else small.state_dict()
    others = {"vae.decoder.weight": torch.ones(3), "text_encoders.gemma.weight": torch.ones(2)}
    file = tmp_path / "model.safetensors"
    save_file({prefix + name: tensor for name, tensor in tensors.items()} | (others if prefix else {}), file)
    assert recognise(file) == "single file"
    loaded = load_transformer(file)
    same(small, loaded)
    eps = 1e-6 if official else 1e-5
    same_function = replace(small.config, multiple_of=loaded.config.multiple_of, qk_norm_eps=eps)
    assert loaded.config == same_function
    assert loaded.config.ffn_dim == small.config.ffn_dim
    assert not loaded.training
    assert load_transformer(file, torch.bfloat16).x_embedder.weight.dtype == torch.bfloat16


def test_the_unused_norm_may_be_absent(tmp_path: Path, small: NextDiT) -> None:
    tensors = official_by_hand(small)
    del tensors["norm_final.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    same(small, load_transformer(tmp_path / "model.safetensors"))


def test_broken_single_files(tmp_path: Path, small: NextDiT) -> None:
    file = tmp_path / "model.safetensors"
    official = official_by_hand(small)

    def told(tensors: State) -> str:
        save_file(tensors, file)
        with pytest.raises(UserError) as raised:
            load_transformer(file)
        assert str(file) in str(raised.value)
        return str(raised.value)

    qkv = "layers.1.attention.qkv.weight"
    assert f"shape (192, 96) for tensor {qkv}, found (190, 96)" in told(
        official | {qkv: official[qkv][:-2].clone()}
    )
    renamed = {name.replace("ffn_norm1", "ffn_norm_1"): tensor for name, tensor in official.items()}
    message = told(renamed)
    assert "expected tensor layers.0.ffn_norm1.weight, found none" in message
    wrong = "layers.0.ffn_norm_1.weight, found one (nearest: layers.0.ffn_norm1.weight)"
    assert f"expected no tensor {wrong}" in message
    assert "finite values in tensor x_embedder.bias" in told(shifted(official, float("nan")))
    assert "expected one Lumina transformer with ema weights" in told({"blocks.0.weight": torch.ones(2)})
    both = {prefix + name: tensor.clone() for prefix in ("a.", "b.") for name, tensor in official.items()}
    assert "found a.x_embedder.weight, b.x_embedder.weight" in told(both)
    assert "expected a matrix layers.0.attn.to_k.weight, found none" in told(
        {"x_embedder.weight": official["x_embedder.weight"]}
    )
    file.write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="expected a complete safetensors file"):
        load_transformer(file)


def test_shapes_that_do_not_tell_the_axes(tmp_path: Path, model: NextDiT) -> None:
    save_file(model.state_dict(), tmp_path / "model.safetensors")  # heads of 16, axes 4, 6, 6
    with pytest.raises(UserError, match=r"found heads of 16, .* do not tell axes_dim_rope"):
        load_transformer(tmp_path / "model.safetensors")


@pytest.mark.parametrize("size", CONFIGS)
@pytest.mark.parametrize("official", [True, False])
def test_the_official_sizes_are_inferred_exactly(size: str, official: bool) -> None:
    state = empty(CONFIGS[size]).state_dict()
    shapes = shapes_of(to_official(state, CONFIGS[size]) if official else state)
    assert infer_config(shapes, "here") == CONFIGS[size]


@pytest.mark.parametrize("ffn", [(256, None), (64, None), (96, None), (64, 0.5), (1, 0.61), (7, 1.37)])
def test_any_feed_forward_width_is_inferred(small: NextDiT, ffn: tuple[int, float | None]) -> None:
    config = replace(small.config, multiple_of=ffn[0], ffn_dim_multiplier=ffn[1])
    found = infer_config(shapes_of(empty(config).state_dict()), "here")
    assert found.ffn_dim == config.ffn_dim
    assert replace(found, multiple_of=ffn[0], ffn_dim_multiplier=ffn[1]) == config
