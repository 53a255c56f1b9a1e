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
from lumina_model.checkpoint import read_autoencoder, read_text_encoder
from lumina_model.digests import files_digest
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.pipeline import Pipeline
from lumina_model.training import flow
from lumina_model.training.autoencoder import AutoencoderSettings, sample_latents, train_autoencoder, whiten
from lumina_model.training.caption_features import CaptionFeatures
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


@pytest.mark.parametrize("matrix_lr", [0.0, 1e-2])
def test_killed_and_resumed_training_ends_with_the_same_weights(
    data: Path, parts: Path, tmp_path: Path, matrix_lr: float
) -> None:
    stage = dataclasses.replace(STAGE, loop=dataclasses.replace(LOOP, matrix_lr=matrix_lr))
    whole, halves = copy_parts(parts, tmp_path / "whole"), copy_parts(parts, tmp_path / "halves")
    train_stage(data, whole, stage)
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
            train_stage(data, halves, stage)
    assert not (halves / "stages").exists()
    train_stage(data, halves, stage)
    a, b = weights(whole / "stages/low_res"), weights(halves / "stages/low_res")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_state_is_not_resumed_under_another_recipe(data: Path, parts: Path, tmp_path: Path) -> None:
    out = copy_parts(parts, tmp_path / "run")
    train_stage(data, out, STAGE)
    with pytest.raises(UserError, match="batch was 4 and is 2"):
        train_stage(data, out, dataclasses.replace(STAGE, batch=2))
    with pytest.raises(UserError, match=r"lr was 0\.001 and is 0\.1"):
        train_stage(data, out, dataclasses.replace(STAGE, loop=dataclasses.replace(LOOP, lr=0.1)))
    train_stage(data, out, STAGE)


@pytest.mark.parametrize(
    ("part", "command"),
    [("tokenizer", "train tokenizer"), ("text_encoder", "train text-encoder"), ("vae", "train autoencoder")],
)
def test_a_part_that_is_not_trained_yet_is_named_with_its_command(
    data: Path, parts: Path, tmp_path: Path, part: str, command: str
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    (out / part).unlink()
    with pytest.raises(UserError, match=rf"expected .*{part}, .*lumina-model {command} "):
        train_stage(data, out, STAGE)


def test_a_stage_that_is_not_trained_yet_is_named_with_its_command(
    data: Path, parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    with pytest.raises(UserError, match="fix: lumina-model train stage low_res "):
        train_stage(data, out, dataclasses.replace(STAGE, stage="high_res", init_from="low_res"))


def test_without_a_terminal_progress_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = torch.nn.Linear(1, 1)
    fit(module, lambda step: module.weight.square().sum(), LOOP, tmp_path, label="a part")
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == f"a part: 0 of {LOOP.steps} steps"
    assert lines[-1].startswith(f"a part: {LOOP.steps} of {LOOP.steps} steps, loss ")


def test_processes_must_share_the_batch_evenly(data: Path, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 processes"):
        train_stage(data, copy_parts(parts, tmp_path / "run"), STAGE, processes=3)


def test_muon_takes_the_matrices_of_the_blocks_and_learns_faster(tmp_path: Path) -> None:
    """On a velocity field that needs its matrices: the same steps and seeds, with and without."""

    def last_loss(matrix_lr: float) -> float:
        torch.manual_seed(0)
        model = NextDiT(MODEL)
        x, features = torch.randn(8, 16, 4, 4), torch.randn(8, 6, 32)
        t, mask = torch.rand(8), torch.ones(8, 6, dtype=torch.bool)
        settings = LoopSettings(steps=40, lr=2e-3, matrix_lr=matrix_lr, warmup_steps=1, final_lr_share=1.0)
        losses = []

        def loss_of(step: int) -> torch.Tensor:
            losses.append((model(x, t, features, mask) - x.flip(0)).square().mean())
            return losses[-1]

        fit(model, loss_of, settings, tmp_path / str(matrix_lr), matrices=flow.hidden_matrices(model))
        return losses[-1].item()

    names = {name for name, p in NextDiT(MODEL).named_parameters() if p.ndim == 2}
    model = NextDiT(MODEL)
    chosen = {id(p) for p in flow.hidden_matrices(model)}
    left = {name for name, p in model.named_parameters() if name in names and id(p) not in chosen}
    assert len(chosen) > 10
    assert all("norm1" in name or "embed" in name or "norm_out" in name for name in left), left
    assert last_loss(1e-2) < last_loss(0.0)


def test_features_of_a_caption_are_the_encoder_s_and_do_not_depend_on_company(parts: Path) -> None:
    encoder = read_text_encoder(parts / "text_encoder", parts / "tokenizer")
    read = CaptionFeatures(encoder, tokens=24, budget=2**20)
    texts = ["a red table", "", "a white table", "a red table"]
    features, mask = read(texts, 8)
    expected, _ = encoder.encode(texts, features.shape[1])
    assert features.shape[1] % 8 == 0
    assert torch.equal(mask.sum(1), torch.tensor([len(encoder.tokenizer(text).input_ids) for text in texts]))
    torch.testing.assert_close(features[mask], expected[mask], rtol=1e-4, atol=1e-5)
    alone, kept = CaptionFeatures(encoder, tokens=24, budget=2**20)(["a white table"], 1)
    assert torch.equal(alone[0][kept[0]], features[2][mask[2]])


def test_features_beyond_the_budget_are_read_again(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = read_text_encoder(parts / "text_encoder", parts / "tokenizer")
    calls = []
    original = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda *words: calls.append(1) or original(*words))
    unbounded, small = (
        CaptionFeatures(encoder, tokens=24, budget=2**20),
        CaptionFeatures(encoder, tokens=24, budget=1),
    )
    first = [unbounded(["a red table", "a blue table"], 8)[0] for _ in range(2)]
    assert (len(calls), torch.equal(*first)) == (1, True)
    second = [small(["a red table", "a blue table"], 8)[0] for _ in range(2)]
    assert (len(calls), torch.equal(*second)) == (3, True)


def test_whitened_latents_are_white_and_reach_the_decoder_as_before(data: Path, parts: Path) -> None:
    settings = AutoencoderSettings(loop=LOOP, sizes=(64,))
    examples = read_examples(data)
    model = read_autoencoder(parts / "vae").vae
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whiten(model, [examples[0]], settings)  # of one colour: the least and the worst of data
    assert torch.isfinite(model.encode(pixels).latent_dist.mode()).all()

    model = read_autoencoder(parts / "vae").vae
    before = model.decoder.conv_in(model.encode(pixels).latent_dist.mode())
    whiten(model, examples, settings)
    after = model.decoder.conv_in(model.encode(pixels).latent_dist.mode())
    inside = (..., slice(1, -1), slice(1, -1))  # at the rim the decoder pads with zeros
    torch.testing.assert_close(after[inside], before[inside], rtol=1e-2, atol=1e-2)
    z = sample_latents(model, examples, settings, 64).permute(1, 0, 2, 3).flatten(1)
    assert z.mean(1).abs().max() < 1e-2
    spread = torch.linalg.eigvalsh(z.cov())
    assert spread.max() < 1.05  # directions without any variance stay without


def test_a_kill_between_checkpoint_and_state_owes_no_checkpoint(
    data: Path, parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(parts, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
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
    with pytest.raises(UserError, match="expected device 'cuda:1', found only cpu"):
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
        ("stage = 'x'\ncheckpoints = ['a']\n", "checkpoints"),
        ("stage = 'x'\n[levels]\nshort = 'much'\n", "levels.short"),
    ],
)
def test_a_broken_recipe_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_recipe(StageSettings, file)


def test_a_way_to_start_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("start = 'decodr'\n[loop]\nsteps = 1\nlr = 1e-3\n")
    with pytest.raises(UserError, match="one of new, whitened, decoder, found 'decodr'"):
        load_recipe(AutoencoderSettings, file)


def test_an_earlier_recipe_does_not_undo_a_later_one(data: Path, tmp_path: Path) -> None:
    first = AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 8), norm_groups=4, sizes=(32, 64), batch=4)
    train_autoencoder(data, tmp_path, first)
    begun = files_digest(tmp_path / "vae")
    train_autoencoder(data, tmp_path, dataclasses.replace(first, start="whitened", latent_power=4))
    whitened = files_digest(tmp_path / "vae")
    assert whitened != begun
    train_autoencoder(data, tmp_path, first)
    assert files_digest(tmp_path / "vae") == whitened


def test_stages_on_two_processes_end_where_one_does(data: Path, parts: Path, tmp_path: Path) -> None:
    one, two = copy_parts(parts, tmp_path / "one"), copy_parts(parts, tmp_path / "two")
    stage = dataclasses.replace(
        STAGE, size=64, auxiliary_weight=1.0, loop=dataclasses.replace(LOOP, matrix_lr=1e-3)
    )
    train_stage(data, one, stage)
    train_stage(data, two, stage, processes=2)
    torch.manual_seed(STAGE.seed)
    start, ends = NextDiT(MODEL).state_dict(), [weights(out / "stages/low_res") for out in (one, two)]

    def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        return sum((a[name].float() - b[name].float()).square().sum().item() for name in a) ** 0.5

    assert apart(*ends) < 0.2 * apart(ends[0], start)  # bfloat16 and Adam's first steps blow up last bits
    losses = [
        [json.loads(line)["loss"] for line in (out / "training/low_res/log.jsonl").read_text().splitlines()]
        for out in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nmore")

    monkeypatch.setattr(torch, "save", full)
    module = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="fix: make room"):
        fit(module, lambda step: module.weight.square().sum(), LOOP, tmp_path)


@pytest.mark.parametrize("line", ["not json", '{"prompt": "x"}', "[1]"])
def test_a_broken_training_list_names_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"image_path": "a.png", "prompt": "a"}\n' + line + "\n")
    with pytest.raises(UserError, match="line 2"):
        read_examples(tmp_path)


def test_a_loss_that_is_not_finite_stops_with_a_message(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="step 0"):
        fit(module, lambda step: module.weight.sum() * float("nan"), LOOP, tmp_path)


def test_going_on_with_another_autoencoder_than_the_recipe_names_is_refused(parts: Path, data: Path) -> None:
    settings = AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 16), norm_groups=4, start="decoder")
    with pytest.raises(UserError, match=r"expected block_out_channels .*16.*, found .*8, 8, 8, 8"):
        train_autoencoder(data, parts, settings)
