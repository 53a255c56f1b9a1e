"""Train the autoencoder: diffusers' AutoencoderKL, 8x smaller latents of 16 channels.

Loss: squared and absolute error of the pixels, more for those that differ from the image's mean colour (most
of an image is background, and without this its few dark colours are told apart late), absolute error of
horizontal and vertical differences (sharp outlines), and a penalty on the latents. Latents carry noise of a
fixed strength while training, so that the decoder forgives a transformer's small errors. The learned variance
of a VAE is left out: with it the first thousand steps drown in noise. Steps alternate between the sizes at
equal pixels per step.

Four recipes, one after the other: ``autoencoder`` learns to reproduce images; ``latents`` goes on from
whitened latents with much noise and a penalty on far values, because a flow learns slowly where a few latents
hold most of the energy; ``decoder`` sharpens the decoder and leaves the latents as they are. ``patterns``
teaches both halves details of a pixel or two, anchors the latents to those before, in which transformers have
been trained, and holds the decoder to what it made of those.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from lumina_model.checkpoint import read_autoencoder
from lumina_model.console import plain
from lumina_model.digests import files_digest
from lumina_model.errors import UserError
from lumina_model.training.data import Example, batch_indices, load_images, read_examples
from lumina_model.training.earlier import expect_trained
from lumina_model.training.loop import LoopSettings, fit

#: Lies in the folder of a training whose result is in ``out/vae``.
FINISHED: Final = "finished"
#: What each way to start is called among the trainings of a run.
LABELS: Final = {
    "new": "autoencoder",
    "whitened": "latents",
    "decoder": "decoder",
    "anchored": "patterns",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderSettings:
    """Architecture and recipe.

    Attributes:
        norm_groups: 1, because a norm over few channels of a picture that is mostly background scales colours
            by how much lies on the table.
        batch: images per step at the smallest size.
        start: ``new`` weights; or go on from ``out/vae``, with its latents ``whitened``, or with the
            ``decoder`` alone, or ``anchored``. The third leaves the latents as they are and the last nearly
            so: both can be done after a transformer was trained on them.
        latent_power: the penalty is the mean of |latent| to this power; 4 is felt by far values most.
        mean_weight: penalty on the squared mean of each channel.
        detail_weights: for each of ``sizes``, how much more errors weigh where a pixel differs from those
            around it; empty for not at all.
        anchor_weights: for each of ``sizes``, penalty on the squared distance of the latents to those of the
            autoencoder that an ``anchored`` training goes on from.
        earlier_latents: for each of ``sizes``, every how many-th time the decoder reads that autoencoder's
            latents, and learns the pictures that its decoder makes of them; 0 for never.
        earlier_noise: the strongest noise on those latents; how strong is drawn each time.
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
    latent_power: int = 2
    mean_weight: float = 0.0
    detail_weights: tuple[float, ...] = ()
    anchor_weights: tuple[float, ...] = ()
    earlier_latents: tuple[int, ...] = ()
    earlier_noise: float = 0.3
    start: Literal["new", "whitened", "decoder", "anchored"] = "new"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UserError for numbers that make no training, and lists that do not go with the others."""
        if not self.sizes or any(size < 8 or size % 8 for size in self.sizes) or self.batch < 1:
            raise UserError(
                f"expected sizes that are multiples of 8 and a batch of 1 or more, found sizes = "
                f"{list(self.sizes)}, batch = {self.batch}; fix: e.g. sizes = [64, 128], batch = 8"
            )
        for name in ("detail_weights", "anchor_weights", "earlier_latents"):
            values = getattr(self, name)
            if values and len(values) != len(self.sizes):
                raise UserError(
                    f"expected {len(self.sizes)} {name}, one for each of sizes = {list(self.sizes)}, found "
                    f"{list(values)}; fix: give one for each, or none"
                )
            if any(value < 0 for value in values):
                raise UserError(
                    f"expected {name} of 0 or more, found {list(values)}; fix: 0 is for not at all"
                )
        if (self.anchor_weights or self.earlier_latents) and self.start != "anchored":
            raise UserError(
                f'expected start = "anchored" beside anchor_weights and earlier_latents, found '
                f'start = "{self.start}", which has no autoencoder before it; fix: drop them, or change start'
            )


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
    """Train on the images of a training set and write ``out/vae`` in diffusers' layout.

    A recipe that has been trained to its end is not trained again: ``out/vae`` may hold the work of the next.
    """
    label = LABELS[settings.start]
    folder = out / "training" / label
    recipe = json.dumps(dataclasses.asdict(settings), indent=1)
    if (folder / FINISHED).is_file():
        under = (folder / FINISHED).read_text(encoding="utf-8")
        if under and under != recipe:
            raise UserError(
                f"expected the recipe under which {label} was trained, found another, in "
                f"{folder / FINISHED}; fix: another --out, with the autoencoder to go on from in it"
            )
        again = f"delete {folder}"
        if settings.start != "new":
            again = f"put the autoencoder before it into {out / 'vae'} and {again}"
        plain(stderr=True).print(f"{label} is trained; to train it again, {again}")
        return
    examples = read_examples(data)
    torch.manual_seed(settings.seed)
    model = build(settings)
    if settings.start != "new":
        expect_trained(out, "vae")
        model = _go_on(model, out / "vae")
    if settings.start == "whitened" and not (folder / "state.pt").is_file():
        whiten(model, examples, settings)
    if settings.start == "decoder":
        model.encoder.requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)
    earlier = copy.deepcopy(model).eval().requires_grad_(False) if settings.start == "anchored" else None

    def loss_of(step: int) -> torch.Tensor:
        turn, place = divmod(step, len(settings.sizes))
        size = settings.sizes[place]
        batch = max(1, settings.batch * settings.sizes[0] ** 2 // size**2)
        chosen = batch_indices(settings.seed, step, len(examples), batch)
        pixels = load_images([examples[i].image_path for i in chosen], size)
        pixels = pixels.contiguous(memory_format=torch.channels_last)  # (B, 3, H, W)
        with torch.autocast("cpu", torch.bfloat16):
            z = model.encode(pixels).latent_dist.mode().float()  # (B, 16, H/8, W/8)
            before = z if earlier is None else earlier.encode(pixels).latent_dist.mode().float()
            generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
            noise = torch.randn(z.shape, generator=generator)
            every = settings.earlier_latents[place] if settings.earlier_latents else 0
            if earlier is not None and every > 0 and turn % every == every - 1:
                # What a transformer draws is not what was encoded: the decoder shall make of it what it made.
                read = before + settings.earlier_noise * torch.rand(1, generator=generator) * noise
                goal, detail = earlier.decode(read).sample.float(), 0.0
            else:
                read, goal = z + settings.latent_noise * noise, pixels
                detail = settings.detail_weights[place] if settings.detail_weights else 0.0
            decoded = model.decode(read).sample
        anchor = settings.anchor_weights[place] if settings.anchor_weights else 0.0
        return (
            _pixel_loss(decoded.float(), goal, settings, detail)
            + settings.latent_weight * z.pow(settings.latent_power).mean()
            + settings.mean_weight * z.mean(dim=(0, 2, 3)).square().mean()
            + anchor * (z - before).square().mean()
        )

    known = dataclasses.asdict(settings)
    if earlier is not None:
        known["goes_on_from"] = files_digest(out / "vae")
    trained = fit(model, loss_of, settings.loop, folder, recipe=known, label=label)
    trained = trained.to(memory_format=torch.contiguous_format)
    if settings.start in ("new", "whitened"):  # the others leave the scale that transformers know
        normalise(trained, examples, settings)
    trained.save_pretrained(out / "vae")
    (folder / FINISHED).write_text(recipe, encoding="utf-8")


def _pixel_loss(
    decoded: torch.Tensor, goal: torch.Tensor, settings: AutoencoderSettings, detail: float
) -> torch.Tensor:
    """Squared, absolute and edge error of (B, 3, H, W); ``detail`` weighs what differs from around it."""
    error = decoded - goal
    salience = (goal - goal.mean(dim=(2, 3), keepdim=True)).abs().amax(dim=1, keepdim=True)
    weight = 1 + settings.salience_weight * salience  # (B, 1, H, W)
    if detail:
        around = F.avg_pool2d(goal, 5, stride=1, padding=2, count_include_pad=False)
        weight = weight + detail * (goal - around).abs().amax(dim=1, keepdim=True)
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return (
        settings.squared_weight * (weight * error.square()).mean()
        + (weight * error.abs()).mean()
        + settings.edge_weight * edges
    )


def _go_on(expected: AutoencoderKL, folder: Path) -> AutoencoderKL:
    """Read the autoencoder to go on from; it must have the architecture that the recipe names."""
    found = read_autoencoder(folder).vae
    for key in ("block_out_channels", "latent_channels", "layers_per_block", "norm_num_groups"):
        wanted, there = expected.config[key], found.config[key]
        if json.dumps(wanted) != json.dumps(there):  # a tuple is read back as a list
            raise UserError(
                f"expected {key} {wanted} as the recipe says, found {there}, in {folder}; "
                f"fix: use the same architecture in all recipes of the autoencoder"
            )
    return found


@torch.inference_mode()
def sample_latents(
    model: AutoencoderKL, examples: list[Example], settings: AutoencoderSettings, size: int
) -> torch.Tensor:
    """Latents of 512 images of one size, as the encoder gives them: (512, C, size/8, size/8)."""
    chosen = batch_indices(settings.seed + 1, 0, len(examples), 512)
    paths = [examples[i].image_path for i in chosen]
    batches = (load_images(paths[start : start + 32], size) for start in range(0, len(paths), 32))
    return torch.cat([model.encode(pixels).latent_dist.mode() for pixels in batches])


def normalise(model: AutoencoderKL, examples: list[Example], settings: AutoencoderSettings) -> None:
    """Set ``scaling_factor`` and ``shift_factor`` for mean 0 and variance 1 at the largest size."""
    z = sample_latents(model, examples, settings, settings.sizes[-1])
    model.register_to_config(shift_factor=float(z.mean()), scaling_factor=float(1 / z.std()))


@torch.no_grad()
def whiten(model: AutoencoderKL, examples: list[Example], settings: AutoencoderSettings) -> None:
    """Give the latents of all sizes together mean 0 and covariance 1, by the layers that meet them.

    The linear map goes into the encoder's last convolution and its inverse into the decoder's first, so what
    the autoencoder does stays the same, but for the rim of the picture, where the decoder pads with zeros.
    """
    means, covariances = [], []
    for size in settings.sizes:
        z = sample_latents(model, examples, settings, size).permute(1, 0, 2, 3).flatten(1)  # (C, pixels)
        means.append(z.mean(1))
        covariances.append(z.cov())
    mean = torch.stack(means).mean(0)
    values, vectors = torch.linalg.eigh(torch.stack(covariances).mean(0))
    white = vectors @ torch.diag(values.clamp_min(1e-4).rsqrt()) @ vectors.T  # (C, C)
    channels = len(mean)
    last, first = model.encoder.conv_out, model.decoder.conv_in
    last.weight[:channels] = torch.einsum("ij,jchw->ichw", white, last.weight[:channels])
    last.bias[:channels] = white @ (last.bias[:channels] - mean)
    first.bias += torch.einsum("ochw,c->o", first.weight, mean)
    first.weight.copy_(torch.einsum("ochw,cj->ojhw", first.weight, torch.linalg.inv(white)))
    model.register_to_config(scaling_factor=1.0, shift_factor=0.0)
