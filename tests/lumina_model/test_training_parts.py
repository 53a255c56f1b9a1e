"""Tokenizer, text encoder and autoencoder as they are trained, and the features that a stage reads."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import LOOP

from lumina_model.checkpoint import read_autoencoder, read_text_encoder
from lumina_model.digests import files_digest
from lumina_model.errors import UserError
from lumina_model.training.autoencoder import AutoencoderSettings, sample_latents, train_autoencoder, whiten
from lumina_model.training.caption_features import CaptionFeatures
from lumina_model.training.data import read_examples
from lumina_model.training.tokenizer import build_tokenizer


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


def test_features_of_a_caption_are_the_encoder_s_and_do_not_depend_on_company(trained_parts: Path) -> None:
    encoder = read_text_encoder(trained_parts / "text_encoder", trained_parts / "tokenizer")
    read = CaptionFeatures(encoder, tokens=24, budget=2**20)
    texts = ["a red table", "", "a white table", "a red table"]
    features, mask = read(texts, 8)
    expected, _ = encoder.encode(texts, features.shape[1])
    assert features.shape[1] % 8 == 0
    assert torch.equal(mask.sum(1), torch.tensor([len(encoder.tokenizer(text).input_ids) for text in texts]))
    torch.testing.assert_close(features[mask], expected[mask], rtol=1e-4, atol=1e-5)
    alone, kept = CaptionFeatures(encoder, tokens=24, budget=2**20)(["a white table"], 1)
    assert torch.equal(alone[0][kept[0]], features[2][mask[2]])


def test_features_beyond_the_budget_are_read_again(
    trained_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = read_text_encoder(trained_parts / "text_encoder", trained_parts / "tokenizer")
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


def test_whitened_latents_are_white_and_reach_the_decoder_as_before(
    training_set: Path, trained_parts: Path
) -> None:
    settings = AutoencoderSettings(loop=LOOP, sizes=(64,))
    examples = read_examples(training_set)
    model = read_autoencoder(trained_parts / "vae").vae
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whiten(model, [examples[0]], settings)  # of one colour: the least and the worst of data
    assert torch.isfinite(model.encode(pixels).latent_dist.mode()).all()

    model = read_autoencoder(trained_parts / "vae").vae
    before = model.decoder.conv_in(model.encode(pixels).latent_dist.mode())
    whiten(model, examples, settings)
    after = model.decoder.conv_in(model.encode(pixels).latent_dist.mode())
    inside = (..., slice(1, -1), slice(1, -1))  # at the rim the decoder pads with zeros
    torch.testing.assert_close(after[inside], before[inside], rtol=1e-2, atol=1e-2)
    z = sample_latents(model, examples, settings, 64).permute(1, 0, 2, 3).flatten(1)
    assert z.mean(1).abs().max() < 1e-2
    spread = torch.linalg.eigvalsh(z.cov())
    assert spread.max() < 1.05  # directions without any variance stay without


def test_an_earlier_recipe_does_not_undo_a_later_one(training_set: Path, tmp_path: Path) -> None:
    first = AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 8), norm_groups=4, sizes=(32, 64), batch=4)
    train_autoencoder(training_set, tmp_path, first)
    begun = files_digest(tmp_path / "vae")
    train_autoencoder(training_set, tmp_path, dataclasses.replace(first, start="whitened", latent_power=4))
    whitened = files_digest(tmp_path / "vae")
    assert whitened != begun
    train_autoencoder(training_set, tmp_path, first)
    assert files_digest(tmp_path / "vae") == whitened


def anchored(sizes: tuple[int, ...] = (32, 64), **changes: Any) -> AutoencoderSettings:
    loop = dataclasses.replace(LOOP, steps=12, lr=5e-3, ema_decay=0.5)
    fields = {"channels": (8, 8, 8, 8), "norm_groups": 4, "batch": 4, "start": "anchored"}
    return AutoencoderSettings(loop=loop, sizes=sizes, **(fields | changes))


def test_an_anchor_holds_the_latents_and_the_scale_that_transformers_know(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    examples = read_examples(training_set)
    before = read_autoencoder(trained_parts / "vae").vae
    moved = {}
    for weight in (0.0, 1e4):
        out = tmp_path / str(weight)
        shutil.copytree(trained_parts / "vae", out / "vae")
        settings = anchored(anchor_weights=(weight, weight), detail_weights=(16, 0), earlier_latents=(2, 0))
        train_autoencoder(training_set, out, settings)
        after = read_autoencoder(out / "vae").vae
        assert after.config.scaling_factor == before.config.scaling_factor
        assert after.config.shift_factor == before.config.shift_factor
        old, new = (sample_latents(vae, examples, settings, 32) for vae in (before, after))
        moved[weight] = float((new - old).square().mean())
    assert 0 < moved[1e4] < moved[0.0] / 3


def test_what_the_decoder_made_of_earlier_latents_it_goes_on_making(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    """It teaches itself: where it reads nothing else, and the anchor pulls at nothing, all is at rest."""
    shutil.copytree(trained_parts / "vae", tmp_path / "vae")
    before = read_autoencoder(tmp_path / "vae").vae.state_dict()
    settings = anchored(anchor_weights=(1, 1), earlier_latents=(1, 1), latent_weight=0)
    train_autoencoder(training_set, tmp_path, settings)
    after = read_autoencoder(tmp_path / "vae").vae.state_dict()
    assert not [name for name in before if not torch.equal(before[name], after[name])]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anchor_weights": (1.0,)}, r"expected 2 anchor_weights, .* sizes = \[32, 64\], found \[1.0\]"),
        ({"detail_weights": (1.0, 2.0, 3.0)}, "expected 2 detail_weights"),
        ({"earlier_latents": (1, 1), "start": "decoder"}, 'found start = "decoder", which has no'),
        ({"anchor_weights": (-1.0, 1.0)}, "expected anchor_weights of 0 or more"),
        ({"sizes": ()}, r"multiples of 8 .* found sizes = \[\]"),
        ({"sizes": (60,)}, "multiples of 8"),
        ({"batch": 0}, "batch of 1 or more"),
    ],
)
def test_weights_that_go_with_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        anchored(**changes)


def test_what_is_trained_is_not_passed_for_another_recipe(training_set: Path, tmp_path: Path) -> None:
    first = AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 8), norm_groups=4, sizes=(32, 64), batch=4)
    train_autoencoder(training_set, tmp_path, first)
    with pytest.raises(UserError, match=r"found another, in .*finished; fix: another --out"):
        train_autoencoder(training_set, tmp_path, dataclasses.replace(first, seed=1))


def test_a_recipe_that_goes_on_says_which_command_comes_before(training_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lumina-model train autoencoder --data DATA --out"):
        train_autoencoder(training_set, tmp_path, anchored())


def test_going_on_with_another_autoencoder_than_the_recipe_names_is_refused(
    trained_parts: Path, training_set: Path
) -> None:
    settings = AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 16), norm_groups=4, start="decoder")
    with pytest.raises(UserError, match=r"expected block_out_channels .*16.*, found .*8, 8, 8, 8"):
        train_autoencoder(training_set, trained_parts, settings)
