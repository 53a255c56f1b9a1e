"""Transformers in every format: read, written, there and back, and what is told of broken ones."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed import checkpoint

import lumina_model
from lumina_model import load_transformer
from lumina_model.checkpoint import write_transformer
from lumina_model.errors import UserError
from lumina_model.formats import read_stored, recognise, write_official
from lumina_model.formats.convert import convert
from lumina_model.formats.shapes import infer_config
from lumina_model.formats.stored import empty, shapes_of
from lumina_model.next_dit import CONFIGS, NextDiT, NextDiTConfig
from lumina_model.official_names import FACTORIES, our_names, to_official
from lumina_model.weights import MOST_NAMED, check_names

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


# --- official folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_official_folder(tmp_path: Path, small: NextDiT, suffix: str) -> None:
    write_tiny_official(tmp_path, small)
    raw, ema = (official_by_hand(small) | {"x_embedder.bias": small.x_embedder.bias.data + i} for i in (1, 2))
    (tmp_path / "consolidated.00-of-01.pth").unlink()
    for stem, tensors in (("consolidated", raw), ("consolidated_ema", ema)):
        file = tmp_path / f"{stem}.00-of-01.{suffix}"
        torch.save(tensors, file) if suffix == "pth" else save_file(tensors, file)
    assert recognise(tmp_path) == "official"
    same(small, load_transformer(tmp_path), plus=2)
    same(small, load_transformer(tmp_path, weights="raw"), plus=1)
    (tmp_path / f"consolidated_ema.00-of-01.{suffix}").unlink()
    same(small, load_transformer(tmp_path), plus=1)
    (tmp_path / f"consolidated.00-of-01.{suffix}").rename(tmp_path / f"consolidated_ema.00-of-01.{suffix}")
    with pytest.raises(UserError, match=r"expected the file consolidated\.00-of-01.*EMA weights"):
        load_transformer(tmp_path, weights="raw")


def test_an_official_factory_sets_the_config(
    tmp_path: Path, small: NextDiT, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small.config, cap_feat_dim=2304)
    monkeypatch.setitem(CONFIGS, "3B", config)  # the real one takes 15 GB
    model = NextDiT(replace(config, cap_feat_dim=24, in_channels=4))
    write_official(model, tmp_path)
    arguments = torch_load(tmp_path / "model_args.pth")
    assert vars(arguments) == {"model": FACTORIES["3B"], "qk_norm": True, "model_parallel_size": 1}
    loaded = load_transformer(tmp_path)
    assert loaded.config == replace(model.config, qk_norm_eps=1e-6)
    assert model.config.qk_norm_eps == 1e-5
    same(model, loaded)


def test_what_the_official_writer_writes(tmp_path: Path, small: NextDiT) -> None:
    write_official(small, tmp_path)
    written = torch.load(tmp_path / "consolidated.00-of-01.pth", weights_only=True)
    expected = official_by_hand(small)
    assert written.keys() == expected.keys()
    assert bool((written["norm_final.weight"] == 1).all())
    assert all(torch.equal(written[name], expected[name]) for name in written if name != "norm_final.weight")
    assert torch_load(tmp_path / "model_args.pth").next_dit_config["axes_dim_rope"] == (8, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": "NextDiT_2B_patch2"}, "expected a model out of .*found 'NextDiT_2B_patch2'"),
        ({"qk_norm": False}, "expected qk_norm True, found False"),
        ({"model_parallel_size": 2}, "expected model_parallel_size 1, found 2"),
        ({"next_dit_config": {"hidden_size": 96}}, "expected next_dit_config with .*found hidden_size"),
        ({"next_dit_config": None}, "expected next_dit_config with .*found None"),
        ({"model": FACTORIES["2.6B"]}, r"expected shape .*; and \d+ more, in .*consolidated"),
    ],
)
def test_official_models_that_are_not_ours(
    tmp_path: Path, small: NextDiT, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told) as raised:
        load_transformer(write_tiny_official(tmp_path, small, **arguments))
    assert str(tmp_path) in str(raised.value)


class Bomb:
    """A pickle that would leave a folder behind if it were executed."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["model_args.pth", "consolidated.00-of-01.pth", ".metadata"])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_pickle_is_executed(tmp_path: Path, small: NextDiT, name: str, zipped: bool) -> None:
    bomb = Bomb(tmp_path / "executed")
    if name == ".metadata":
        folder = write_dcp(tmp_path / "dcp", small.state_dict())
        (folder / name).write_bytes(pickle.dumps(bomb))
    else:
        folder = write_tiny_official(tmp_path, small)
        value = Namespace(model=bomb) if name == "model_args.pth" else {"x_embedder.weight": bomb}
        torch.save(value, folder / name, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"found \w+\.mkdir, which could run code, in ") as raised:
        load_transformer(folder)
    assert "weights_only" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not bomb.path.exists()


@pytest.mark.parametrize("change", ["parts", "cut", "empty", "arguments", "weights", "names", "nested"])
def test_broken_official_folders(tmp_path: Path, small: NextDiT, change: str) -> None:
    folder = write_tiny_official(tmp_path, small)
    file = folder / "consolidated.00-of-01.pth"
    told = {
        "parts": r"expected the one file .*found consolidated\.00-of-02\.pth",
        "cut": "expected .*, found .*, in .*consolidated",
        "empty": "expected .*, found .*, in .*consolidated",
        "arguments": "expected the file .*model_args.pth, found none",
        "weights": r"expected the file consolidated_ema\.00-of-01\..* or consolidated\.00-of-01\.",
        "names": r"expected the official tensor names, found no cap_embedder\.0\.weight",
        "nested": "expected tensors by name, found OrderedDict under 'model'",
    }[change]
    if change == "parts":
        file.rename(folder / "consolidated.00-of-02.pth")
    elif change == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif change == "empty":
        file.write_bytes(b"")
    elif change == "arguments":
        (folder / "model_args.pth").unlink()
    elif change == "weights":
        file.unlink()
    else:
        torch.save(small.state_dict() if change == "names" else {"model": small.state_dict()}, file)
    with pytest.raises(UserError, match=told) as raised:
        load_transformer(folder)
    assert "\n" not in str(raised.value)


# --- single files ---------------------------------------------------------------------------------------


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


# --- torch distributed checkpoints ----------------------------------------------------------------------


@pytest.mark.parametrize("official", [True, False])
def test_distributed_checkpoints(tmp_path: Path, small: NextDiT, official: bool) -> None:
    state = official_by_hand(small) if official else dict(small.state_dict())
    optimizer = {"state": {"x_embedder.weight": {"exp_avg": torch.ones(96, 64)}}, "param_groups": [{"lr": 1}]}
    both = {"model": shifted(state, 1), "ema": shifted(state, 2), "optimizer": optimizer, "step": 7}
    folder = write_dcp(tmp_path / "both", both)
    assert recognise(folder) == "distributed"
    same(small, load_transformer(folder), plus=2)
    same(small, load_transformer(folder, weights="raw"), plus=1)
    assert load_transformer(folder).config.qk_norm_eps == (1e-6 if official else 1e-5)
    same(small, load_transformer(write_dcp(tmp_path / "plain", state)))
    moments = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    same(small, load_transformer(write_dcp(tmp_path / "model", {"model": state, "moments": moments})))
    with pytest.raises(UserError, match=r"with raw weights .*found ema\.x_embedder\.weight"):
        load_transformer(write_dcp(tmp_path / "ema", {"ema": state}), weights="raw")


def test_a_config_beside_a_distributed_checkpoint_counts(tmp_path: Path, model: NextDiT) -> None:
    folder = write_dcp(tmp_path / "dcp", {"model": model.state_dict()})
    with pytest.raises(UserError, match="do not tell axes_dim_rope"):
        load_transformer(folder)
    write_transformer(model, tmp_path / "diffusers")
    (folder / "config.json").write_bytes((tmp_path / "diffusers" / "config.json").read_bytes())
    loaded = load_transformer(folder)
    assert loaded.config == model.config
    same(model, loaded)


def test_broken_distributed_checkpoints(tmp_path: Path, small: NextDiT) -> None:
    folder = write_dcp(tmp_path / "dcp", small.state_dict())
    shard = next(folder.glob("*.distcp"))
    data, metadata = shard.read_bytes(), (folder / ".metadata").read_bytes()

    def told() -> str:
        with pytest.raises(UserError) as raised:
            load_transformer(folder)
        assert str(folder) in str(raised.value)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    shard.write_bytes(data[: len(data) // 2])
    assert "expected the shards of a complete checkpoint" in told()
    shard.unlink()
    assert f"{shard.name}, found none" in told()
    shard.write_bytes(data)
    (folder / ".metadata").write_bytes(
        metadata.replace(shard.name.encode(), b"../" + shard.name.encode()[3:])
    )
    assert "expected shards in the folder itself, found '../" in told()
    (folder / ".metadata").write_bytes(metadata[:100])
    assert "expected the metadata of a torch distributed checkpoint" in told()
    (folder / ".metadata").unlink()
    assert ".metadata, found none" in told()


# --- recognising, the hub, converting -------------------------------------------------------------------


def test_diffusers_folders(tmp_path: Path, small: NextDiT) -> None:
    write_transformer(small, tmp_path / "pipeline" / "transformer", sample_size=8)
    for path in (tmp_path / "pipeline", tmp_path / "pipeline" / "transformer"):
        assert recognise(path) == "diffusers"
        same(small, load_transformer(path))
        assert load_transformer(str(path)).config == small.config
    assert read_stored(tmp_path / "pipeline").sample_size == 8


def test_what_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "model.ckpt").write_bytes(b"")
    for path, told in [
        (tmp_path, r"found model.ckpt, notes.txt, in .*stages/NAME"),
        (tmp_path / "model.ckpt", "expected a folder or a .safetensors file"),
        (tmp_path / "gone", "found nothing"),
    ]:
        with pytest.raises(UserError, match=told):
            load_transformer(path)
    with pytest.raises(UserError, match="expected the weights ema or raw, found 'best'"):
        load_transformer(tmp_path, weights="best")  # type: ignore[arg-type]


def test_a_hub_model_is_taken_from_the_cache(
    tmp_path: Path, small: NextDiT, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    write_transformer(small, tmp_path / "transformer")
    same(small, load_transformer("owner/a-model.2"))
    assert [name for name, _ in asked] == ["owner/a-model.2"]
    assert not any(pattern.startswith("text_encoder") for pattern in asked[0][1])
    (tmp_path / "transformer").rename(tmp_path / "gone")
    write_official(small, tmp_path)
    same(small, load_transformer("owner/a-model.2"))
    assert "consolidated*.00-of-01.*" in asked[-1][1]


def test_a_hub_model_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for load in (load_transformer, lumina_model.load_pipeline):
        with pytest.raises(
            UserError, match=r"owner/name.*`hf download owner/name --include 'transformer/"
        ) as told:
            load("owner/name")  # type: ignore[operator]
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_conversion_there_and_back_keeps_every_byte(
    tmp_path: Path, small: NextDiT, dtype: torch.dtype
) -> None:
    state = {name: tensor.to(dtype) for name, tensor in small.state_dict().items()}
    save_file(state, tmp_path / "start.safetensors")
    convert(tmp_path / "start.safetensors", tmp_path / "official", "official")
    convert(tmp_path / "official", tmp_path / "diffusers", "diffusers")
    convert(tmp_path / "diffusers", tmp_path / "again", "official")
    for name in ("official", "diffusers", "again"):
        back = read_stored(tmp_path / name)
        assert back.config.ffn_dim == small.config.ffn_dim
        assert {key: value.dtype for key, value in back.tensors.items()} == dict.fromkeys(state, dtype)
        assert all(torch.equal(back.tensors[key], state[key]) for key in state)
    first, again = (
        torch.load(tmp_path / name / "consolidated.00-of-01.pth", weights_only=True)
        for name in ("official", "again")
    )
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_diffusers_loads_what_is_converted(tmp_path: Path, small: NextDiT) -> None:
    from diffusers import Lumina2Transformer2DModel

    save_file(official_by_hand(small), tmp_path / "start.safetensors")
    convert(tmp_path / "start.safetensors", tmp_path / "out", "diffusers", dtype="bfloat16")
    loaded = Lumina2Transformer2DModel.from_pretrained(tmp_path / "out", torch_dtype=torch.bfloat16)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, small.state_dict()[name].bfloat16()), name


def test_conversions_that_cannot_be(tmp_path: Path, small: NextDiT) -> None:
    write_transformer(small, tmp_path / "in")
    for told, words in {
        "format out of diffusers, official, found 'gguf'": ("out", "gguf", "ema", (), None),
        "dtype out of .*found 'int8'": ("out", "official", "ema", (), "int8"),
        "weights ema or raw, found 'best'": ("out", "official", "best", (), None),
        "new or empty folder": ("in", "official", "ema", (), None),
    }.items():
        folder, *rest = words
        with pytest.raises(UserError, match=told):
            convert(tmp_path / "in", tmp_path / folder, *rest)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# --- names, messages, imports ---------------------------------------------------------------------------


def test_the_names_do_not_depend_on_the_config() -> None:
    state = to_official(empty(CONFIGS["2.6B"]).state_dict(), CONFIGS["2.6B"])
    ours = [name for old in state for name in our_names(old)]
    assert len(state) == 400
    assert sorted(ours) == sorted(empty(CONFIGS["2.6B"]).state_dict())
    assert (
        our_names("norm_final.weight") == our_names("layers.x.ffn_norm1.weight") == our_names("layers") == ()
    )
    assert our_names("layers.0.attention_norm1.weight") == ("layers.0.norm1.norm.weight",)
    assert our_names("context_refiner.3.attention_norm1.weight") == ("context_refiner.3.norm1.weight",)


def test_all_wrong_tensors_are_told_up_to_a_number() -> None:
    expected = {f"layers.{i}.weight": (2, 3) for i in range(30)}
    with pytest.raises(UserError) as raised:
        check_names(expected, {"layers.0.weight": (3, 2), "layer.1.weight": (2, 3)}, "there")
    message = str(raised.value)
    assert "expected no tensor layer.1.weight, found one (nearest: layers.1.weight); " in message
    assert "expected shape (2, 3) for tensor layers.0.weight, found (3, 2); " in message
    assert message.count("found") == MOST_NAMED
    assert f"; and {31 - MOST_NAMED} more, in there; fix: " in message
    check_names(expected, expected, "there")


def test_the_package_is_imported_without_torch() -> None:
    code = (
        "import sys, lumina_model, lumina_model.cli\n"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'peft') if name in sys.modules])\n"
        "print(sorted(set(lumina_model.__all__) - set(dir(lumina_model))), hasattr(lumina_model, 'other'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]", "False"]
    assert lumina_model.NextDiT is NextDiT
    assert lumina_model.NextDiTConfig is NextDiTConfig
    assert json.dumps(lumina_model.__all__)
