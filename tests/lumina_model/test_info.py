"""`lumina-model info` and `convert`: sizes, checkpoints, what is printed, and one line for a mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lumina_model import cli, load_transformer
from lumina_model.checkpoint import component_digests, write_transformer
from lumina_model.formats import write_official
from lumina_model.next_dit import NextDiT

# Counted from the official module, on the meta device.
OFFICIAL = {"2.6b": 2_609_771_456, "3b": 3_734_828_912, "4b": 4_792_618_496, "7b": 8_247_662_336}
PARTS = {
    "x_embedder": 149_760,
    "noise_refiner": 174_625_152,
    "context_refiner": 155_732_352,
    "t_embedder": 1_312_768,
    "cap_embedder": 5_313_024,
    "layers": 2_270_126_976,
    "norm_final": 2_304,
    "final_layer": 2_509_120,
}


class Told:
    """What a command line said."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str | Path) -> Told:
        monkeypatch.setattr(sys, "argv", ["lumina-model", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Told(code, told.out, told.err)

    return run


@pytest.mark.parametrize("size", OFFICIAL)
def test_sizes(run: Any, size: str) -> None:
    for word in (size, size.upper()):
        told = run("info", "--size", word, "--json")
        assert told.code == 0
        record = json.loads(told.out)
        assert record["parameters"] == OFFICIAL[size]
        assert sum(record["parameters_by_part"].values()) == OFFICIAL[size]
        assert record["parameters_diffusers"] == OFFICIAL[size] - record["config"]["hidden_size"]


def test_the_parts_of_the_released_size(run: Any) -> None:
    record = json.loads(run("info", "--size", "2.6b", "--json").out)
    assert record["parameters_by_part"] == PARTS
    assert record["parameters_diffusers"] == 2_609_769_152
    text = run("info", "--size", "2.6b").out
    assert all(name in text and f"{count:,}" in text for name, count in PARTS.items())
    assert "2,609,771,456" in text


def test_beside_lumina_next(run: Any) -> None:
    rows = json.loads(run("info", "--compare", "--json").out)["compare"]
    assert [row["model"].split()[-1] for row in rows] == ["Lumina-Next", "2.6B", "3B", "4B", "7B"]
    assert [row["parameters"] for row in rows] == [1_700_000_000, *OFFICIAL.values()]
    assert rows[0]["layers"] == 24
    assert len({tuple(row) for row in rows}) == 1
    assert len(json.loads(run("info", "--compare", "--size", "7b", "--json").out)["compare"]) == 2
    text = run("info", "--compare").out
    assert "Lumina-Next" in text
    assert "1.7B" in text
    assert "2D-RoPE" in text


def test_a_pipeline_and_the_same_weights_elsewhere(
    run: Any, pipeline_folder: Path, model: NextDiT, tmp_path: Path
) -> None:
    (pipeline_folder / "checkpoint.json").write_text('{"schema": 1, "stage": "low_res", "step": 3}')
    told = run("info", pipeline_folder, "--json")
    assert told.code == 0
    record = json.loads(told.out)
    own = sum(parameter.numel() for parameter in model.parameters())
    assert record["parameters_diffusers"] == own == record["components"]["transformer"]["parameters"]
    assert record["parameters"] == own + 96
    assert (record["format"], record["stage"], record["step"]) == ("diffusers", "low_res", 3)
    assert record["dtypes"] == ["float32"]
    found = {name: part["digest"] for name, part in record["components"].items() if part["digest"]}
    assert found == component_digests(pipeline_folder)
    files = pipeline_folder / "transformer"
    assert record["bytes"] == sum(file.stat().st_size for file in files.iterdir())

    write_official(model, tmp_path / "official")
    other = json.loads(run("info", tmp_path / "official", "--json").out)
    assert other["digest"] == record["digest"]
    assert (other["format"], other["stage"], other["components"]) == ("official", None, {})
    text = run("info", pipeline_folder).out
    assert record["digest"] in text
    assert "stage: low_res" in text


def test_the_embedded_model(run: Any) -> None:
    told = run("info", "--stage", "low_res", "--json")
    record = json.loads(told.out)
    assert (record["model"], record["stage"]) == ("embedded", "low_res")
    assert set(record["components"]) == {"transformer", "text_encoder", "tokenizer", "vae", "scheduler"}
    assert told.err == ""


def test_convert(run: Any, model: NextDiT, tmp_path: Path) -> None:
    write_transformer(model, tmp_path / "in", sample_size=8)
    a, b = torch.ones(2, 64), torch.ones(96, 2)
    save_file({"x_embedder.lora_A.weight": a, "x_embedder.lora_B.weight": b}, tmp_path / "lora.safetensors")
    lora = f"{tmp_path / 'lora.safetensors'}=0.5"
    told = run("convert", tmp_path / "in", tmp_path / "official", "--format", "official", "--lora", lora)
    assert (told.code, told.out) == (0, "")
    told = run(
        "convert", tmp_path / "official", tmp_path / "out", "--format", "diffusers", "--dtype", "bfloat16"
    )
    assert told.code == 0
    expected = (model.x_embedder.weight + 1).bfloat16()
    assert torch.equal(load_transformer(tmp_path / "out", None).x_embedder.weight, expected)
    assert run("convert", tmp_path / "in", tmp_path / "same", "--format", "diffusers").code == 0
    for file in ("config.json", "diffusion_pytorch_model.safetensors"):
        assert (tmp_path / "same" / file).read_bytes() == (tmp_path / "in" / file).read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("info", "--size", "2b"), "found '2b'; fix: take 2.6b"),
        (("info", "--size", "70B"), "found '70B'; fix: take 7b"),
        (("info", "--size", "large"), "found 'large'; fix: take 2.6b or 3b or 4b or 7b"),
        (("info", "gone"), "found nothing, at gone"),
        (("info", "gone", "--size", "3b"), "found both"),
        (("info", "gone", "--weights", "best"), "found 'best'"),
        (("info", "--stage", "last"), "expected a stage out of"),
        (("convert", "gone", "out", "--format", "official"), "found nothing, at gone"),
        (("convert", "gone", "out", "--format", "gguf"), "found 'gguf'"),
        (("convert", "gone", "out", "--format", "official", "--lora", "x=big"), "FILE=SCALE, found 'x=big'"),
    ],
)
def test_a_mistake_is_one_line(
    run: Any, words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run(*words, *(["--json"] if words[0] == "info" else []))
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert told in said.err
    assert list(tmp_path.iterdir()) == []
