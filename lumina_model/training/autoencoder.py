"""Train the autoencoder: diffusers' AutoencoderKL, 8x smaller latents of 16 channels.

Loss: squared and absolute error of the pixels, more for those that differ from the image's mean colour (most
of an image is background, and without this its few dark colours are told apart late), absolute error of
horizontal and vertical differences (sharp outlines), and a small penalty on the size of the latents. Latents
carry noise of a fixed strength while training, so that the decoder forgives a transformer's small errors. The
learned variance of a VAE is left out: with it the first thousand steps drown in noise. Steps alternate
between the sizes at equal pixels per step.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from lumina_model.checkpoint import read_autoencoder
from lumina_model.training.data import Example, batch_indices, load_images, read_examples
from lumina_model.training.loop import LoopSettings, fit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderSettings:
    """Architecture and recipe.

    Attributes:
        norm_groups: 1, because a norm over few channels of a picture that is mostly background scales colours
            by how much lies on the table; with 8 groups the loss falls three times slower.
        batch: images per step at the smallest size.
        decoder_only: go on from ``out/vae`` with the encoder frozen. Latents stay as they are, so this can
            be done while, or after, a transformer is trained on them.
    """

    loop: LoopSettings
    channels: tuple[int, ...] = (16, 32, 64, 96)
    latent_channels: int = 16
    layers_per_block: int = 1
    norm_groups: int = 1
    sizes: tuple[int, ...] = (64, 128)
    batch: int = 12
    squared_weight: float = 4.0
    salience_weight: float = 4.0
    edge_weight: float = 0.5
    latent_noise: float = 0.1
    latent_weight: float = 1e-3
    decoder_only: bool = False
    seed: int = 0


def build(settings: AutoencoderSettings) -> AutoencoderKL:
    """Return an untrained autoencoder; no attention, so that any size costs and means the same."""
    levels = len(settings.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.channels,
        layers_per_block=settings.layers_per_block,
        latent_channels=settings.latent_channels,
        norm_num_groups=settings.norm_groups,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        sample_size=settings.sizes[-1],
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def train_autoencoder(data: Path, out: Path, settings: AutoencoderSettings) -> None:
    """Train on the images of a training set and write ``out/vae`` in diffusers' layout."""
    examples = read_examples(data)
    torch.manual_seed(settings.seed)
    model = _continue(out / "vae") if settings.decoder_only else build(settings)
    model = model.to(memory_format=torch.channels_last)

    def loss_of(step: int) -> torch.Tensor:
        size = settings.sizes[step % len(settings.sizes)]
        batch = max(1, settings.batch * settings.sizes[0] ** 2 // size**2)
        chosen = batch_indices(settings.seed, step, len(examples), batch)
        pixels = load_images([examples[i].image_path for i in chosen], size)
        pixels = pixels.contiguous(memory_format=torch.channels_last)  # (B, 3, H, W)
        with torch.autocast("cpu", torch.bfloat16):
            z = model.encode(pixels).latent_dist.mode().float()  # (B, 16, H/8, W/8)
            noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(step))
            decoded = model.decode(z + settings.latent_noise * noise).sample
        error = decoded.float() - pixels
        salience = (pixels - pixels.mean(dim=(2, 3), keepdim=True)).abs().amax(dim=1, keepdim=True)
        weight = 1 + settings.salience_weight * salience  # (B, 1, H, W)
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return (
            settings.squared_weight * (weight * error.square()).mean()
            + (weight * error.abs()).mean()
            + settings.edge_weight * edges
            + settings.latent_weight * z.square().mean()
        )

    label = "decoder" if settings.decoder_only else "autoencoder"
    trained = fit(model, loss_of, settings.loop, out / "training" / label, label=label)
    trained = trained.to(memory_format=torch.contiguous_format)
    if not settings.decoder_only:
        normalise(trained, examples, settings)
    trained.save_pretrained(out / "vae")


def _continue(folder: Path) -> AutoencoderKL:
    model: AutoencoderKL = read_autoencoder(folder).vae
    model.encoder.requires_grad_(False)
    return model


@torch.inference_mode()
def normalise(model: AutoencoderKL, examples: list[Example], settings: AutoencoderSettings) -> None:
    """Set ``scaling_factor`` and ``shift_factor`` for latents of mean 0 and variance 1 over 512 images."""
    chosen = batch_indices(settings.seed + 1, 0, len(examples), 512)
    latents = []
    for start in range(0, len(chosen), 32):
        paths = [examples[i].image_path for i in chosen[start : start + 32]]
        latents.append(model.encode(load_images(paths, settings.sizes[-1])).latent_dist.mode())
    z = torch.cat(latents)
    model.register_to_config(shift_factor=float(z.mean()), scaling_factor=float(1 / z.std()))
