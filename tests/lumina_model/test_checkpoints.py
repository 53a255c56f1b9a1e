"""Weights on disk: round trips, what is said of broken ones, digests, official names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file, save_file

from lumina_model.checkpoint import (
    assemble_pipeline,
    component_digests,
    from_official,
    official_names,
    read_autoencoder,
    read_schedule,
    read_transformer,
    to_official,
    write_scheduler,
    write_transformer,
)
from lumina_model.errors import UserError
from lumina_model.next_dit import CONFIGS, NextDiT, NextDiTConfig
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import Sampling

FILE = "diffusion_pytorch_model.safetensors"


def test_round_trip(tmp_path: Path, model: NextDiT) -> None:
    write_transformer(model, tmp_path, sample_size=8)
    again = read_transformer(tmp_path)
    assert again.config == model.config
    assert json.loads((tmp_path / "config.json").read_text())["sample_size"] == 8
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert read_transformer(tmp_path, torch.bfloat16).x_embedder.weight.dtype == torch.bfloat16


def test_what_diffusers_has_no_key_for_survives(tmp_path: Path, config: NextDiTConfig) -> None:
    write_transformer(NextDiT(replace(config, qk_norm_eps=1e-6)), tmp_path)
    assert read_transformer(tmp_path).config.qk_norm_eps == 1e-6


def test_shards_are_one_checkpoint(pipeline_folder: Path) -> None:
    whole = component_digests(pipeline_folder)
    folder = pipeline_folder / "transformer"
    tensors = load_file(folder / FILE)
    names = sorted(tensors)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, folder / f"part-{i}.safetensors")
        weight_map |= dict.fromkeys(part, f"part-{i}.safetensors")
    (folder / FILE).unlink()
    (folder / f"{FILE}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert component_digests(pipeline_folder) == whole
    read_transformer(folder)
    (folder / "part-1.safetensors").unlink()
    with pytest.raises(UserError, match=r"part-1\.safetensors, found none"):
        read_transformer(folder)


def edit(folder: Path, change: str) -> str:
    """Break a transformer folder; the words that the message must have."""
    file = folder / FILE
    tensors = load_file(file)
    if change == "no file":
        file.unlink()
        return "expected one .safetensors file or an index, found none"
    if change == "no config":
        (folder / "config.json").unlink()
        return "config.json, found none"
    if change == "broken config":
        (folder / "config.json").write_text("{")
        return "expected JSON"
    if change == "other class":
        (folder / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
        return "expected a Lumina2Transformer2DModel, found 'FluxTransformer2DModel'"
    if change == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
        return "expected a complete safetensors file"
    if change == "missing":
        del tensors["layers.1.attn.to_k.weight"]
        expected = "expected tensor layers.1.attn.to_k.weight, found none"
    elif change == "unexpected":
        tensors["layers.7.norm2.weight"] = torch.ones(3)
        expected = "expected no tensor layers.7.norm2.weight"
    elif change == "shape":
        tensors["x_embedder.bias"] = torch.zeros(95)
        expected = r"expected shape \(96,\) for tensor x_embedder.bias, found \(95,\)"
    elif change == "nan":
        tensors["norm_out.linear_2.bias"][3] = float("nan")
        expected = "finite values in tensor norm_out.linear_2.bias, found 1"
    else:
        tensors["norm_out.linear_2.bias"][:2] = float("inf")
        expected = "finite values in tensor norm_out.linear_2.bias, found 2"
    save_file(tensors, file)
    return expected


@pytest.mark.parametrize(
    "change",
    [
        *("no file", "no config", "broken config", "other class", "truncated"),
        *("missing", "unexpected", "shape", "nan", "inf"),
    ],
)
def test_broken_transformer(tmp_path: Path, model: NextDiT, change: str) -> None:
    write_transformer(model, tmp_path)
    message = edit(tmp_path, change)
    with pytest.raises(UserError, match=message) as raised:
        read_transformer(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_broken_text_encoder(pipeline_folder: Path) -> None:
    file = pipeline_folder / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in sorted(tensors) if name.endswith("layers.1.mlp.up_proj.weight"))
    save_file({key: value for key, value in tensors.items() if key != name}, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"missing keys: .*up_proj"):
        Pipeline.load(pipeline_folder)
    tensors[name] = tensors[name] * float("inf")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"finite values in tensor {name}"):
        Pipeline.load(pipeline_folder)


@pytest.mark.parametrize("name", ["tokenizer/tokenizer.json", "text_encoder/config.json", "vae/config.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"block_out_channels": 3, "vocab_size": "many"}'])
def test_broken_configs_are_told_by_their_folder(pipeline_folder: Path, name: str, text: str) -> None:
    (pipeline_folder / name).write_text(text)
    with pytest.raises(UserError, match=name.split("/")[0]):
        Pipeline.load(pipeline_folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_is_printed_while_a_pipeline_is_read(
    pipeline_folder: Path, dtype: torch.dtype, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = Pipeline.load(pipeline_folder, dtype=dtype)
    assert loaded.autoencoder.vae.dtype == loaded.text_encoder.model.dtype == dtype
    assert capfd.readouterr() == ("", "")


def test_missing_component(pipeline_folder: Path) -> None:
    (pipeline_folder / "vae").rename(pipeline_folder / "gone")
    with pytest.raises(UserError, match="with the vae, found none"):
        Pipeline.load(pipeline_folder)
    (pipeline_folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json, found no such file"):
        Pipeline.load(pipeline_folder)


def test_vae_shift_is_written_as_a_number(pipeline_folder: Path) -> None:
    assert json.loads((pipeline_folder / "vae" / "config.json").read_text())["shift_factor"] == 0.1159
    assert read_autoencoder(pipeline_folder / "vae").shift == 0.1159


def test_parts_and_assembled_folder_are_the_same_pipeline(pipeline_folder: Path, tmp_path: Path) -> None:
    parts = {}
    for i, name in enumerate(("transformer", "text_encoder", "tokenizer", "vae", "scheduler")):
        parts[name] = tmp_path / f"elsewhere-{i}"
        (pipeline_folder / name).rename(parts[name])
    record = parts["transformer"].with_name("checkpoint.json")
    record.write_text('{"schema": 1, "stage": "low_res", "step": 3}')
    assemble_pipeline(parts, tmp_path / "assembled")
    assert (tmp_path / "assembled" / "checkpoint.json").read_text() == record.read_text()
    assert component_digests(parts) == component_digests(tmp_path / "assembled")
    sampling = Sampling(steps=1, height=64, width=64, max_text_tokens=160)
    a, b = (
        Pipeline.load(source).generate(["a cube"], [1], sampling)[0].tobytes()
        for source in (parts, tmp_path / "assembled")
    )
    assert a == b


def test_scheduler(tmp_path: Path) -> None:
    write_scheduler(tmp_path, shift=3.0)
    assert read_schedule(tmp_path) == {"shift": 3.0}
    file = tmp_path / "scheduler_config.json"
    FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).save_pretrained(tmp_path)
    assert read_schedule(tmp_path) == {"dynamic_shift": True}
    file.write_text('{"use_dynamic_shifting": true, "max_shift": 2.0}')
    with pytest.raises(UserError, match="static shift"):
        read_schedule(tmp_path)
    file.write_text('{"shift": "six"}')
    with pytest.raises(UserError, match="a number as shift"):
        read_schedule(tmp_path)


def test_digests_follow_content_alone(pipeline_folder: Path) -> None:
    before = component_digests(pipeline_folder)
    assert set(before) == {"transformer", "text_encoder", "tokenizer", "vae"}
    assert all(len(digest) == 64 for digest in before.values())

    file = pipeline_folder / "transformer" / FILE
    tensors = load_file(file)
    save_file(tensors, file, metadata={"written": "later"})
    config = pipeline_folder / "vae" / "config.json"
    record = json.loads(config.read_text())
    config.write_text(json.dumps(record | {"_diffusers_version": "9"}))
    assert component_digests(pipeline_folder) == before

    tensors["x_embedder.bias"][0] += 1e-3
    save_file(tensors, file)
    config.write_text(json.dumps(record | {"scaling_factor": 0.5}))
    (pipeline_folder / "tokenizer" / "tokenizer_config.json").write_text("{}")
    after = component_digests(pipeline_folder)
    assert {name for name in before if before[name] != after[name]} == {"transformer", "vae", "tokenizer"}


def test_official_names_of_the_released_model() -> None:
    config = CONFIGS["2.6B"]
    with torch.device("meta"):
        ours = NextDiT(config).state_dict()
    names = official_names(config)
    targets = [new for value in names.values() for new in (value if isinstance(value, tuple) else (value,))]
    assert len(names) + 1 == 400  # with norm_final
    assert len(targets) == len(set(targets))
    assert set(targets) == set(ours)
    official = to_official(ours, config)
    assert len(official) == 400
    assert official["layers.25.attention.qkv.weight"].shape == (3840, 2304)
    assert official["noise_refiner.0.adaLN_modulation.1.weight"].shape == (9216, 1024)
    assert sum(tensor.numel() for tensor in official.values()) == 2_609_771_456


def test_official_names_there_and_back(model: NextDiT) -> None:
    state = model.state_dict()
    official = to_official(state, model.config)
    back = from_official(official, model.config)
    assert set(back) == set(state)
    for name in state:
        assert torch.equal(back[name], state[name]), name
    qkv = official["layers.0.attention.qkv.weight"]
    assert torch.equal(qkv[:96], state["layers.0.attn.to_q.weight"])
    assert torch.equal(qkv[-32:], state["layers.0.attn.to_v.weight"])
    with pytest.raises(UserError, match=r"layers\.9\.ffn_norm1"):
        from_official(official | {"layers.9.ffn_norm1.weight": qkv}, model.config)
