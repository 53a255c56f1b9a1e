"""What a path is recognised as, hub models, conversion there and back, and the messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    official_by_hand,
    same,
)
from safetensors.torch import save_file

import lumina_model
from lumina_model import load_transformer
from lumina_model.checkpoint import write_transformer
from lumina_model.errors import UserError
from lumina_model.formats import read_stored, recognise, write_official
from lumina_model.formats.convert import convert
from lumina_model.formats.stored import empty
from lumina_model.next_dit import CONFIGS, NextDiT, NextDiTConfig
from lumina_model.official_names import our_names, to_official
from lumina_model.weights import MOST_NAMED, check_names


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
