"""Models of known quality: the truth is right, the scripted one errs as often as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from benchmarks.geneval.prompts import generate
from benchmarks.geneval.vocabulary import TABLETOP
from benchmarks.tabletop.sight.judge import TabletopJudge
from benchmarks.tabletop.trial.models import open_scripted, open_truth, own_probability
from benchmarks.tabletop.trial.truth import accepts, parse_prompt, perfect_output
from lumina_eval.errors import UserError
from lumina_eval.testing import check_model

RECORDS = generate(TABLETOP, seed=43, draws=60)
PROMPTS = ("a photo of a red circle", "a photo of three crosss", "a photo of a star left of a heart")


def test_prompts_are_read_back_to_the_byte() -> None:
    for record in RECORDS:
        parsed = parse_prompt(record["prompt"])
        assert parsed == record
        assert [list(clause) for clause in parsed["include"]] == [
            list(clause) for clause in record["include"]
        ]


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a photo of a dog",
        "a photo of five circles",
        "a photo of a red circle and a star",
        "a photo of a red circle left of a star",
        "a photo of a circle.",
    ],
)
def test_other_prompts_are_refused(prompt: str) -> None:
    with pytest.raises(UserError, match="expected a GenEval prompt"):
        parse_prompt(prompt)


def test_both_models_keep_to_the_protocol() -> None:
    prompts = ("a photo of a red circle", "a photo of two stars")
    check_model(open_truth("@64", {})[0], prompts)
    check_model(open_scripted("", {})[0], prompts)


@pytest.mark.parametrize("size", [64, 128])
def test_the_truth_is_judged_right(size: int) -> None:
    (model,) = open_truth(f"@{size}", {})
    records = RECORDS[:: len(RECORDS) // 60]
    pictures = model.generate([record["prompt"] for record in records], range(len(records)))
    assert {picture.size for picture in pictures} == {(size, size)}
    verdicts = TabletopJudge().judge(pictures, [])
    right = [accepts(record, verdict) for record, verdict in zip(records, verdicts, strict=True)]
    assert sum(right) >= len(records) - 1


def test_seeds_give_different_scenes_of_the_same_prompt() -> None:
    (model,) = open_truth("@64", {})
    scenes = {model.scene("a photo of two stars", seed) for seed in range(10)}
    assert len(scenes) == 10


def test_the_script_is_followed_picture_by_picture() -> None:
    (model,) = open_scripted("", {})
    for k, record in enumerate(RECORDS[::6]):
        output = perfect_output(model.scene(record["prompt"], k), 64)
        assert accepts(record, output) == model.succeeds(record["prompt"], k)


def test_success_is_as_likely_as_the_script_says() -> None:
    (model,) = open_scripted("0.7@128", {})
    assert {model.true_probability(record["prompt"]) for record in RECORDS} == {0.7}
    rate = np.mean([model.succeeds("a photo of a star", seed) for seed in range(4000)])
    assert rate == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / 4000))


def test_a_prompts_own_probability_is_even() -> None:
    found = np.sort([own_probability(f"prompt {k}") for k in range(2000)])
    assert np.abs(found - np.linspace(0, 1, 2000)).max() < 1.63 / np.sqrt(2000)  # Kolmogorov-Smirnov, 1 %


def test_sizes_and_variants_have_names_of_their_own() -> None:
    assert [(model.name, model.stage) for model in open_truth("", {})] == [
        ("tabletop-truth", "clean@64"),
        ("tabletop-truth", "clean@128"),
    ]
    assert [model.title for model in open_truth("", {})] == ["truth 64 px", "truth 128 px"]
    assert open_scripted("0.25", {})[0].stage == "0.25@64"
    assert open_scripted("0.25", {})[0].title == "tabletop-scripted:0.25@64"
    digests = [tuple(sorted(m.sampling().items())) for m in (*open_truth("", {}), *open_scripted("0.2", {}))]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("spec", ["nonsense", "@32", "autoencoder@", "clean@64"])
def test_a_mistaken_truth_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="expected tabletop-truth"):
        open_truth(spec, {})


@pytest.mark.parametrize("spec", ["1.5", "-0.1", "nan", "often", "0.5@100"])
def test_a_mistaken_script_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="expected tabletop-scripted"):
        open_scripted(spec, {})


def test_pictures_pass_through_the_autoencoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    vae.save_pretrained(tmp_path / "vae")
    (through,) = open_truth("autoencoder@64", {"vae": str(tmp_path / "vae")})
    (clean,) = open_truth("@64", {})
    one, other = through.generate(PROMPTS[:1], [1])[0], clean.generate(PROMPTS[:1], [1])[0]
    assert one.size == other.size
    assert one.tobytes() != other.tobytes()
    pixels = torch.from_numpy(np.asarray(other).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        expected = vae.eval()(pixels, sample_posterior=False).sample[0].permute(1, 2, 0)
    assert np.abs((np.asarray(one) / 127.5 - 1) - expected.clamp(-1, 1).numpy()).max() < 1.01 / 127.5
    assert through.components()["vae"] != clean.components()["renderer"]
    assert through.stage == "autoencoder@64"


def test_no_autoencoder_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder of an autoencoder"):
        open_truth("autoencoder", {"vae": str(tmp_path / "none")})
    (model, _) = open_truth("autoencoder", {"vae": str(tmp_path)})
    with pytest.raises(UserError, match="AutoencoderKL"):
        model.generate(PROMPTS[:1], [0])
