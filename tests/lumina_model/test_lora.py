"""LoRA adapters in both ways of naming, against W + scale · alpha / rank · B·A computed by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lumina_model import load_transformer
from lumina_model.checkpoint import write_transformer
from lumina_model.errors import UserError
from lumina_model.formats import apply_lora
from lumina_model.next_dit import NextDiT

State = dict[str, Tensor]
RANK = 3
HIDDEN, KV, FFN, TIME = 96, 32, 384, 96  # of the tiny config

# Module in diffusers' naming -> (rows, columns).
MODULES = {
    "layers.0.attn.to_q": (HIDDEN, HIDDEN),
    "layers.0.attn.to_k": (KV, HIDDEN),
    "layers.0.attn.to_v": (KV, HIDDEN),
    "layers.0.attn.to_out.0": (HIDDEN, HIDDEN),
    "layers.1.feed_forward.linear_1": (FFN, HIDDEN),
    "layers.1.feed_forward.linear_2": (HIDDEN, FFN),
    "layers.1.norm1.linear": (4 * HIDDEN, TIME),
    "context_refiner.0.feed_forward.linear_3": (FFN, HIDDEN),
    "noise_refiner.0.attn.to_q": (HIDDEN, HIDDEN),
    "x_embedder": (HIDDEN, 64),
}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def pair(rows: int, columns: int, rank: int = RANK, seed: int = 0) -> tuple[Tensor, Tensor]:
    return drawn(rank, columns, seed=seed), drawn(rows, rank, seed=seed + 1)


def close(model: NextDiT, before: State, added: State) -> None:
    """Exactly the named matrices have moved, by what is given."""
    for name, tensor in model.state_dict().items():
        if name in added:
            torch.testing.assert_close(tensor, before[name] + added[name], rtol=1e-5, atol=1e-5)
            assert not torch.equal(tensor, before[name])
        else:
            assert torch.equal(tensor, before[name]), name


def copied(model: NextDiT) -> State:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("prefix", ["transformer.", "base_model.model.", "base_model.model.transformer.", ""])
@pytest.mark.parametrize("alpha", [None, 6.0])
def test_the_naming_of_diffusers(tmp_path: Path, model: NextDiT, prefix: str, alpha: float | None) -> None:
    tensors, added = {}, {}
    for seed, (name, (rows, columns)) in enumerate(MODULES.items()):
        a, b = pair(rows, columns, seed=10 * seed)
        tensors |= {f"{prefix}{name}.lora_A.weight": a, f"{prefix}{name}.lora_B.weight": b}
        if alpha:
            tensors[f"{prefix}{name}.alpha"] = torch.tensor(alpha)
        added[f"{name}.weight"] = 0.5 * ((alpha or RANK) / RANK) * b @ a
    save_file(tensors, tmp_path / "lora.safetensors")
    before = copied(model)
    model.x_embedder.bias.requires_grad_(False)
    apply_lora(model, tmp_path / "lora.safetensors", 0.5)
    close(model, before, added)
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["x_embedder.bias"]
    assert list(model.state_dict()) == list(before)
    assert not hasattr(model, "peft_config")
    assert not any("lora" in type(module).__module__ for module in model.modules())


@pytest.mark.parametrize("prefix", ["diffusion_model.", "model.diffusion_model."])
@pytest.mark.parametrize("ends", [("lora_A", "lora_B"), ("lora_down", "lora_up")])
def test_the_official_naming(tmp_path: Path, model: NextDiT, prefix: str, ends: tuple[str, str]) -> None:
    tensors, added = {}, {}
    for block in ("layers.0", "layers.1", "noise_refiner.0", "context_refiner.0"):
        a, b = pair(HIDDEN + 2 * KV, HIDDEN, seed=len(block))
        tensors |= {f"{prefix}{block}.attention.qkv.{ends[0]}.weight": a}
        tensors |= {f"{prefix}{block}.attention.qkv.{ends[1]}.weight": b}
        for letter, rows in {"q": b[:HIDDEN], "k": b[HIDDEN : HIDDEN + KV], "v": b[HIDDEN + KV :]}.items():
            added[f"{block}.attn.to_{letter}.weight"] = 2 / RANK * rows @ a
        tensors[f"{prefix}{block}.attention.qkv.alpha"] = torch.tensor([2.0])
    others = {
        "layers.1.attention.out": ("layers.1.attn.to_out.0", HIDDEN, HIDDEN),
        "layers.1.feed_forward.w2": ("layers.1.feed_forward.linear_2", HIDDEN, FFN),
        "layers.1.adaLN_modulation.1": ("layers.1.norm1.linear", 4 * HIDDEN, TIME),
        "final_layer.linear": ("norm_out.linear_2", 64, HIDDEN),
    }
    for rank, (old, (new, rows, columns)) in enumerate(others.items(), start=1):
        a, b = pair(rows, columns, rank)
        tensors |= {f"{prefix}{old}.{ends[0]}.weight": a, f"{prefix}{old}.{ends[1]}.weight": b}
        added[f"{new}.weight"] = b @ a
    save_file(tensors, tmp_path / "lora.safetensors")
    before = copied(model)
    apply_lora(model, tmp_path / "lora.safetensors")
    close(model, before, added)


@pytest.mark.parametrize("place", ["peft", "diffusers"])
def test_alpha_of_the_settings(tmp_path: Path, model: NextDiT, place: str) -> None:
    names = ("layers.0.attn.to_q", "layers.1.attn.to_q")
    prefix = "base_model.model." if place == "peft" else "transformer."
    a, b = pair(HIDDEN, HIDDEN)
    tensors = {
        f"{prefix}{name}.{part}.weight": t.clone()
        for name in names
        for part, t in (("lora_A", a), ("lora_B", b))
    }
    settings: dict[str, Any] = {"r": RANK, "lora_alpha": 4, "alpha_pattern": {"layers.1.attn.to_q": 5}}
    if place == "peft":
        save_file(tensors, tmp_path / "adapter_model.safetensors")
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings | {"use_rslora": True}))
        root = RANK**0.5
    else:
        metadata = json.dumps({f"transformer.{key}": value for key, value in settings.items()})
        file = tmp_path / "pytorch_lora_weights.safetensors"
        save_file(tensors, file, metadata={"lora_adapter_metadata": metadata})
        root = RANK
    before = copied(model)
    apply_lora(model, tmp_path)
    close(model, before, {f"{names[0]}.weight": 4 / root * b @ a, f"{names[1]}.weight": 5 / root * b @ a})


def test_what_peft_itself_saves(tmp_path: Path, model: NextDiT) -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=4, lora_alpha=10, target_modules=["to_q", "linear_2"], init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), settings)
    adapted.save_pretrained(tmp_path)
    apply_lora(model, tmp_path)
    for name, tensor in adapted.merge_and_unload().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_several_with_their_scales_while_loading(tmp_path: Path, model: NextDiT) -> None:
    write_transformer(model, tmp_path / "model")
    added = torch.zeros(HIDDEN, 64)
    for i, scale in enumerate((1.0, -0.25)):
        a, b = pair(HIDDEN, 64, seed=i)
        save_file(
            {"x_embedder.lora_A.weight": a, "x_embedder.lora_B.weight": b}, tmp_path / f"{i}.safetensors"
        )
        added += scale * b @ a
    lora = [tmp_path / "0.safetensors", (tmp_path / "1.safetensors", -0.25)]
    close(load_transformer(tmp_path / "model", lora=lora), copied(model), {"x_embedder.weight": added})
    half = load_transformer(tmp_path / "model", torch.bfloat16, lora=lora)
    assert half.x_embedder.weight.dtype == torch.bfloat16
    assert not half.training


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"lora_A": (RANK, 95)},
            r"expected shape \(3, 96\) for tensor transformer.layers.0.attn.to_k.lora_A",
        ),
        (
            {"lora_B": (HIDDEN, RANK)},
            r"expected shape \(32, 3\) for tensor .*to_k.lora_B.weight, found \(96, 3\)",
        ),
        ({"lora_B": (KV, RANK + 1)}, r"expected shape \(32, 3\) for tensor .*lora_B"),
        ({"lora_B": None}, "no lora_B beside transformer.layers.0.attn.to_k.lora_A.weight"),
        ({"lora_A": None}, "no lora_A beside transformer.layers.0.attn.to_k.lora_B.weight"),
        (
            {"lora_magnitude_vector": (KV,)},
            "found transformer.layers.0.attn.to_k.lora_magnitude_vector.weight",
        ),
    ],
)
def test_a_lora_that_does_not_fit(
    tmp_path: Path, model: NextDiT, changes: dict[str, tuple[int, ...] | None], told: str
) -> None:
    shapes = {"lora_A": (RANK, HIDDEN), "lora_B": (KV, RANK)} | changes
    tensors = {
        f"transformer.layers.0.attn.to_k.{part}.weight": torch.ones(shape)
        for part, shape in shapes.items()
        if shape is not None
    }
    file = tmp_path / "lora.safetensors"
    save_file(tensors, file)
    before = copied(model)
    with pytest.raises(UserError, match=told) as raised:
        apply_lora(model, file)
    assert str(file) in str(raised.value)
    close(model, before, {})


def test_one_matrix_has_one_lora(tmp_path: Path, model: NextDiT) -> None:
    a, b = pair(HIDDEN, HIDDEN)
    fused = drawn(HIDDEN + 2 * KV, RANK)
    own = {
        "transformer.layers.0.attn.to_q.lora_A.weight": a,
        "transformer.layers.0.attn.to_q.lora_B.weight": b,
    }
    qkv = "diffusion_model.layers.0.attention.qkv.lora_"
    for others in (
        {"layers.0.attn.to_q.lora_A.weight": a.clone()},
        {f"{qkv}A.weight": a.clone(), f"{qkv}B.weight": fused},
    ):
        save_file(own | others, tmp_path / "lora.safetensors")
        with pytest.raises(UserError, match="expected one LoRA per matrix"):
            apply_lora(model, tmp_path / "lora.safetensors")


@pytest.mark.parametrize("module", ["layers.7.attn.to_q", "layers.0.attn.norm_q", "double_blocks.0.qkv"])
def test_a_lora_of_another_model(tmp_path: Path, model: NextDiT, module: str) -> None:
    a, b = pair(HIDDEN, HIDDEN)
    name = f"transformer.{module}.lora_A.weight"
    save_file({name: a, name.replace("A", "B"): b}, tmp_path / "lora.safetensors")
    with pytest.raises(UserError, match="expected a matrix of this transformer, found") as raised:
        apply_lora(model, tmp_path / "lora.safetensors")
    assert name in str(raised.value)


def test_broken_lora_files(tmp_path: Path, model: NextDiT) -> None:
    a, b = pair(HIDDEN, 64)
    file = tmp_path / "lora.safetensors"
    with pytest.raises(UserError, match=r"lora\.safetensors, found none"):
        apply_lora(model, file)
    with pytest.raises(UserError, match=r"adapter_model\.safetensors or .* in a folder, found none"):
        apply_lora(model, tmp_path)
    with pytest.raises(UserError, match=r"expected a \.safetensors file"):
        apply_lora(model, tmp_path / "lora.bin")
    save_file({}, file)
    with pytest.raises(UserError, match="expected a LoRA, found no tensors"):
        apply_lora(model, file)
    tensors = {"x_embedder.lora_A.weight": a * float("nan"), "x_embedder.lora_B.weight": b}
    save_file(tensors, file)
    with pytest.raises(UserError, match=r"finite values in tensor x_embedder\.lora_A\.weight"):
        apply_lora(model, file)
    save_file(tensors | {"x_embedder.alpha": torch.ones(2), "x_embedder.lora_A.weight": a}, file)
    with pytest.raises(UserError, match=r"expected one number as x_embedder\.alpha"):
        apply_lora(model, file)
    save_file(tensors, file, metadata={"lora_adapter_metadata": "["})
    with pytest.raises(UserError, match="expected JSON as lora_adapter_metadata"):
        apply_lora(model, file)
