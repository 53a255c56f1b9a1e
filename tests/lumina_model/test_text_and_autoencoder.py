"""Text features and latents: the facts of section "text encoder" and "autoencoder" of the model card."""

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from lumina_model.autoencoder import Autoencoder
from lumina_model.errors import UserError
from lumina_model.text_encoder import TextEncoder


def test_features_are_the_output_of_the_last_but_one_layer(text_encoder: TextEncoder) -> None:
    seen: list[torch.Tensor] = []
    hook = text_encoder.model.layers[-2].register_forward_hook(
        lambda module, args, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    feats, mask = text_encoder.encode(["a photo of a red cube", "cube"])
    hook.remove()
    assert torch.equal(feats, seen[0])
    assert feats.shape == (*mask.shape, text_encoder.dim)


def test_bos_right_padding_and_multiple_of_8(text_encoder: TextEncoder) -> None:
    ids, mask = text_encoder.tokenize(["a photo of a red cube", ""])
    bos, pad = text_encoder.tokenizer.bos_token_id, text_encoder.tokenizer.pad_token_id
    assert ids.shape[1] % 8 == 0
    assert ids[:, 0].tolist() == [bos, bos]
    assert mask[1].tolist() == [1] + [0] * (ids.shape[1] - 1)
    assert (ids[mask == 0] == pad).all()
    assert (mask.diff(dim=1) <= 0).all()
    assert text_encoder.tokenizer.eos_token_id not in ids


def test_features_do_not_depend_on_padding(text_encoder: TextEncoder) -> None:
    short, mask = text_encoder.encode(["two blue spheres"], pad_to=12)
    long, _ = text_encoder.encode(["two blue spheres", "a " * 20], pad_to=48)
    n = int(mask.sum())
    torch.testing.assert_close(long[0, :n], short[0, :n], atol=1e-5, rtol=1e-5)


def test_cut_text_is_said(text_encoder: TextEncoder) -> None:
    with pytest.warns(UserWarning, match="to 8 tokens; lost: .* photo of a red cube'"):
        ids, mask = text_encoder.tokenize(["high-quality images, prompts a photo of a red cube"], pad_to=8)
    assert ids.shape == (1, 8)
    assert mask.all()


def test_wrong_tokenizer_is_refused(text_encoder: TextEncoder) -> None:
    bare = PreTrainedTokenizerFast(
        tokenizer_object=type(text_encoder.tokenizer.backend_tokenizer).from_str(
            text_encoder.tokenizer.backend_tokenizer.to_str()
        ),
        bos_token="<eos>",
        pad_token="<pad>",
    )
    with pytest.raises(UserError, match="BOS"):
        TextEncoder(text_encoder.model, bare)
    with pytest.raises(UserError, match="at least one text"):
        text_encoder.encode([])


def test_latents_are_the_shifted_and_scaled_mode(autoencoder: Autoencoder) -> None:
    images = torch.rand(2, 3, 16, 24) * 2 - 1
    latents = autoencoder.encode(images)
    assert latents.shape == (2, 16, 2, 3)
    with torch.no_grad():
        mean = autoencoder.vae.encode(images).latent_dist.mean
    torch.testing.assert_close(latents, (mean - 0.1159) * 0.3611)
    assert torch.equal(latents, autoencoder.encode(images))


def test_decoding_rounds_and_clamps(autoencoder: Autoencoder) -> None:
    latents = torch.randn(2, 16, 2, 3) * 3
    values = autoencoder.decode_values(latents).detach()
    pixels = autoencoder.decode(latents)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (2, 16, 24, 3)
    expected = ((values.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1)
    assert (pixels - expected).abs().max() <= 0.501


def test_bad_image_shape(autoencoder: Autoencoder) -> None:
    with pytest.raises(UserError, match="divisible by 8"):
        autoencoder.encode(torch.zeros(1, 3, 12, 16))
