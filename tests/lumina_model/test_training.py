"""The trainer through its public functions, on a training set of sixteen coloured squares."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lumina_model.adapter import open_lumina
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.pipeline import Pipeline
from lumina_model.training import flow, loop
from lumina_model.training.autoencoder import AutoencoderSettings, train_autoencoder
from lumina_model.training.data import batch_indices, read_examples
from lumina_model.training.flow import StageSettings, official_mu, sample_times, train_stage
from lumina_model.training.loop import LoopSettings, fit
from lumina_model.training.recipes import FOLDER, load_recipe
from lumina_model.training.text_encoder import TextEncoderSettings, train_text_encoder
from lumina_model.training.tokenizer import build_tokenizer, train_tokenizer
from lumina_model.weights import iterate_tensors

COLORS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 220), "white": (250, 250, 250)}
MODEL = NextDiTConfig(
    hidden_size=48, num_layers=1, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1, multiple_of=16,
    axes_dim_rope=(8, 8, 8), cap_feat_dim=32,
)  # fmt: skip
LOOP = LoopSettings(steps=4, lr=1e-3, warmup_steps=1, save_every=2, log_every=1)
STAGE = StageSettings(stage="low_res", model=MODEL, loop=LOOP, size=32, batch=4, levels={"short": 1.0})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    with (folder / "train.jsonl").open("w", encoding="utf-8") as lines:
        for index in range(16):
            color = list(COLORS)[index % 4]
            Image.new("RGB", (64, 64), COLORS[color]).save(folder / f"images/{index}.png")
            captions = {"en": {"short": f"a {color} table"}, "de": {"short": f"Tisch, Farbe {color}"}}
            record = {"image_path": f"images/{index}.png", "prompt": f"{color}", "captions": captions}
            lines.write(json.dumps(record) + "\n")
    return folder


@pytest.fixture(scope="module")
def parts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run with every part but the stages."""
    out = tmp_path_factory.mktemp("run")
    train_tokenizer(data, out, vocab_size=300)
    train_text_encoder(
        data, out, TextEncoderSettings(loop=LOOP, hidden_size=32, layers=2, heads=2, kv_heads=1, head_dim=16,
                                       mlp_size=32, batch=4))  # fmt: skip
    train_autoencoder(
        data,
        out,
        AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 8), norm_groups=4, sizes=(32, 64), batch=4),
    )
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(iterate_tensors(folder / "transformer"))


def copy_parts(parts: Path, out: Path) -> Path:
    out.mkdir()
    for name in ("tokenizer", "text_encoder", "vae"):
        (out / name).symlink_to(parts / name)
    return out


def test_killed_and_resumed_training_ends_with_the_same_weights(
    data: Path, parts: Path, tmp_path: Path
) -> None:
    whole, halves = copy_parts(parts, tmp_path / "whole"), copy_parts(parts, tmp_path / "halves")
    train_stage(data, whole, STAGE)
    original = flow.flow_loss
    calls = 0

    def killed(*args: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:  # after the state of step 2 was saved and step 3 was lost
            raise KeyboardInterrupt
        return original(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "flow_loss", killed)
        with pytest.raises(KeyboardInterrupt):
            train_stage(data, halves, STAGE)
    assert not (halves / "stages").exists()
    train_stage(data, halves, STAGE)
    a, b = weights(whole / "stages/low_res"), weights(halves / "stages/low_res")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_kill_between_checkpoint_and_state_owes_no_checkpoint(
    data: Path, parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_stage(data, out, dataclasses.replace(STAGE, checkpoints=(2,)))
    assert (out / "stages/low_res-000002/checkpoint.json").is_file()


def test_a_checkpoint_that_is_written_anew_has_no_record_of_the_old_weights(
    data: Path, parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, STAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "write_transformer", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            flow.write_stage(NextDiT(MODEL), out / "stages/low_res", STAGE, 8)
    assert not (out / "stages/low_res/checkpoint.json").exists()


def test_next_stage_starts_from_the_last_and_counts_steps_on(data: Path, parts: Path, tmp_path: Path) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, STAGE)
    second = dataclasses.replace(STAGE, stage="high_res", init_from="low_res", size=64, auxiliary_weight=1.0)
    still = dataclasses.replace(second, loop=dataclasses.replace(LOOP, lr=0.0))
    train_stage(data, out, still)
    first, after = weights(out / "stages/low_res"), weights(out / "stages/high_res")
    assert all(torch.equal(first[name], after[name]) for name in first)
    record = json.loads((out / "stages/high_res/checkpoint.json").read_text())
    assert (record["stage"], record["step"], record["size"]) == ("high_res", 8, 64)
    other = dataclasses.replace(second, model=dataclasses.replace(MODEL, num_layers=2), stage="other")
    with pytest.raises(UserError, match="architecture"):
        train_stage(data, out, other)


def test_checkpoint_of_a_run_makes_images_at_its_own_size(data: Path, parts: Path, tmp_path: Path) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(
        data, out, dataclasses.replace(STAGE, sampling={"steps": 2, "guidance": 1.0, "max_text_tokens": 24})
    )
    (model,) = open_lumina(str(out / "stages/low_res"), {"solver": "euler"})
    (image,) = model.generate(["a red table"], [0])
    assert image.size == (32, 32)
    assert model.sampling()["steps"] == 2
    assert (model.name, model.stage, model.step) == ("run", "low_res", 4)


def test_sampling_and_text_are_known_before_anything_is_loaded(
    data: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, dataclasses.replace(STAGE, sampling={"steps": 2}))
    monkeypatch.setattr(Pipeline, "load", lambda *_: pytest.fail("loaded"))
    (model,) = open_lumina(str(out / "stages/low_res"), {"guidance": "2"})
    told = model.sampling()
    assert (told["steps"], told["guidance"], told["height"], told["shift"]) == (2, 2.0, 32, 6.0)
    assert model.final_text("a red table").endswith("a red table")


def test_a_device_that_is_not_there_is_told_at_once(
    data: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, STAGE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="found none; fix: take the device cpu"):
        open_lumina(str(out / "stages/low_res"), {"device": "cuda:1"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "many"}, "type int for step, found 'many'"),
        ({"schema": 2}, "expected 1 for schema, found 2"),
        ({"sampling": {"stepz": 3}}, "found stepz"),
    ],
)
def test_a_broken_record_names_the_place(
    data: Path, parts: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, STAGE)
    file = out / "stages/low_res/checkpoint.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=message) as error:
        open_lumina(str(out / "stages/low_res"), {})[0].sampling()
    assert "checkpoint.json" in str(error.value)


def test_flow_matching_learns_a_velocity_that_is_known() -> None:
    """Data is one point c, so v(x, t) = (c - x) / (1 - t) exactly; a model of that form reaches loss 0."""

    class Exact(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.point = torch.nn.Parameter(torch.zeros(16, 4, 4))

        def forward(self, x: torch.Tensor, t: torch.Tensor, *_: object) -> torch.Tensor:
            return (self.point - x) / (1 - t[:, None, None, None])

    model = Exact()
    model.point.data.fill_(0.7)
    clean = torch.full((8, 16, 4, 4), 0.7)
    none = torch.zeros(8, 1, 1)
    generator = torch.Generator().manual_seed(0)
    assert flow.flow_loss(model, clean, none, none, generator).item() < 1e-6
    model.point.data.fill_(0.5)
    assert flow.flow_loss(model, clean, none, none, generator).item() > 1e-2


@pytest.mark.parametrize(("tokens", "mean", "median"), [(4096, 0.277, 0.240)])
def test_times_follow_the_official_law(tokens: int, mean: float, median: float) -> None:
    """Mean and median of t at 1024 px as the official transport.py gives them."""
    t = sample_times(200_000, official_mu(tokens), torch.Generator().manual_seed(0))
    assert t.mean().item() == pytest.approx(mean, abs=2e-3)
    assert t.median().item() == pytest.approx(median, abs=2e-3)


def test_a_step_sees_the_same_batch_whenever_it_runs() -> None:
    assert np.array_equal(batch_indices(1, 7, 100, 8), batch_indices(1, 7, 100, 8))
    assert not np.array_equal(batch_indices(1, 7, 100, 8), batch_indices(1, 8, 100, 8))
    assert len(set(batch_indices(1, 7, 100, 8))) == 8


def test_every_text_survives_the_tokenizer() -> None:
    tokenizer = build_tokenizer(["a red star", "ein roter Stern", "红色的星"], 300)
    for text in ("a red star", "Ω→ nie gesehen 星", ""):
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_a_system_prompt_is_one_token() -> None:
    from lumina_model.prompt_templates import compose

    tokenizer = build_tokenizer(["a red star"], 300)
    assert len(tokenizer(compose("real", "a")).input_ids) == 3


@pytest.mark.parametrize("name", ["low_res", "high_res", "hq_tuning"])
def test_recipes_of_the_embedded_stages_are_whole(name: str) -> None:
    recipe = load_recipe(StageSettings, FOLDER / f"{name}.toml")
    assert recipe.stage == name
    with torch.device("meta"):
        assert sum(p.numel() for p in NextDiT(recipe.model).parameters()) <= 5_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = \n", "line 1"),
        ("stage = 'x'\nsteps = 3\n", "steps"),
        ("stage = 3\n", "stage"),
        ("stage = 'x'\n", "required"),
    ],
)
def test_a_broken_recipe_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_recipe(StageSettings, file)


@pytest.mark.parametrize("line", ["not json", '{"prompt": "x"}', "[1]"])
def test_a_broken_training_list_names_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"image_path": "a.png", "prompt": "a"}\n' + line + "\n")
    with pytest.raises(UserError, match="line 2"):
        read_examples(tmp_path)


def test_a_loss_that_is_not_finite_stops_with_a_message(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="step 0"):
        fit(module, lambda step: module.weight.sum() * float("nan"), LOOP, tmp_path)
