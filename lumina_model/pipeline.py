"""Text and seed to image: text encoder, solver around the transformer, autoencoder."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from lumina_model.autoencoder import Autoencoder, autoencoder_factor
from lumina_model.checkpoint import (
    Parts,
    component_folder,
    read_autoencoder,
    read_shift,
    read_text_encoder,
    read_transformer,
)
from lumina_model.errors import UserError
from lumina_model.guidance import guided_velocity
from lumina_model.next_dit import Context, NextDiT
from lumina_model.sampling import DTYPES, Sampling
from lumina_model.solvers import SOLVERS
from lumina_model.text_encoder import TextEncoder
from lumina_model.time_grid import time_grid
from lumina_model.weights import read_json

Progress = Callable[[int, int], None]
"""(steps done, steps in all), called after every solver step of a batch."""


@dataclass(frozen=True)
class Pipeline:
    """The three parts of Lumina-Image 2.0, on one device and in one dtype.

    `sampling` is the default of this checkpoint: its own size, shift and dtype, the rest official.
    """

    transformer: NextDiT
    text_encoder: TextEncoder
    autoencoder: Autoencoder
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.text_encoder.dim != self.transformer.config.cap_feat_dim:
            raise UserError(
                f"expected text features of {self.transformer.config.cap_feat_dim} dimensions, "
                f"found {self.text_encoder.dim}; fix: take the text encoder of this transformer"
            )
        if self.autoencoder.channels != self.transformer.config.in_channels:
            raise UserError(
                f"expected latents of {self.transformer.config.in_channels} channels, found "
                f"{self.autoencoder.channels}; fix: take the autoencoder of this transformer"
            )

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | Parts,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Pipeline":
        """Read a pipeline folder in diffusers layout.

        Args:
            source: the folder, or a mapping from component name (`transformer`, `text_encoder`,
                `tokenizer`, `vae`, `scheduler`) to its folder.
            device: where everything is put.
            dtype: of all weights and activations; float16 is unsafe for Gemma-2 and this transformer.

        Raises:
            UserError: a file is missing or broken, or the parts do not fit each other.
        """
        device = torch.device(device)
        transformer = read_transformer(component_folder(source, "transformer"), dtype).eval()
        text_encoder = read_text_encoder(
            component_folder(source, "text_encoder"), component_folder(source, "tokenizer"), dtype
        )
        autoencoder = read_autoencoder(component_folder(source, "vae"), dtype)
        sampling = default_sampling(source, dtype)
        text_encoder.model.to(device)
        autoencoder.vae.to(device)
        return cls(transformer.to(device), text_encoder, autoencoder, device, dtype, sampling)

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
        progress: Progress | None = None,
    ) -> list[Image.Image]:
        """One image per (prompt, seed), all in one batch.

        Args:
            prompts: the user's words, without system prompt.
            seeds: one per prompt, 0 to 2^63 - 1.
            sampling: how; None for this checkpoint's default.
            progress: told after every step.

        Returns:
            RGB images in the order of the prompts. Noise and text padding do not depend on the batch; what
            is left is the rounding of floating point, which depends on the batch's size but not on the
            neighbours in it.
        """
        sampling = sampling or self.sampling
        _expect_same_number(prompts, seeds, "seeds")
        noise = draw_noise(seeds, self.latent_shape(sampling))  # (B, C, h, w)
        pixels = self.autoencoder.decode(
            self.generate_latents(prompts, noise, sampling, progress)
        )  # (B, H, W, 3)
        return [Image.fromarray(image.numpy()) for image in pixels]

    @torch.inference_mode()
    def generate_latents(
        self,
        prompts: Sequence[str],
        noise: Tensor,
        sampling: Sampling | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """From noise (B, C, h, w) at t = 0 to normalised latents (B, C, h, w) at t = 1, float32."""
        sampling = sampling or self.sampling
        self._check(prompts, noise, sampling)
        velocity = guided_velocity(
            self.transformer,
            self.encode_prompts([sampling.final_text(prompt) for prompt in prompts], sampling),
            # One text for all: encoded once, so that it is the same tensor for any batch size.
            _repeat(self.encode_prompts([sampling.final_negative_text()], sampling), len(prompts)),
            sampling.guidance,
            sampling.renorm,
            sampling.truncation,
        )
        callback = None if progress is None else lambda done, _time, _x: progress(done, sampling.steps)
        times = time_grid(sampling.steps, sampling.shift)
        return SOLVERS[sampling.solver](velocity, noise.to(self.device), times, callback)

    @torch.inference_mode()
    def encode_prompts(self, texts: Sequence[str], sampling: Sampling) -> Context:
        """Complete texts to the context that all steps share, padded to `max_text_tokens`."""
        return self.transformer.encode_context(*self.text_encoder.encode(texts, sampling.max_text_tokens))

    def latent_shape(self, sampling: Sampling) -> tuple[int, int, int]:
        """Channels, height and width of one image's latents."""
        factor = self.autoencoder.factor
        return self.autoencoder.channels, sampling.height // factor, sampling.width // factor

    def _check(self, prompts: Sequence[str], noise: Tensor, sampling: Sampling) -> None:
        _expect_same_number(prompts, noise, "noises")
        if DTYPES[sampling.dtype] != self.dtype:
            raise UserError(
                f"expected sampling dtype {self.dtype}, which the pipeline was loaded in, found "
                f"{sampling.dtype}; fix: load the pipeline in that dtype"
            )
        if tuple(noise.shape[1:]) != self.latent_shape(sampling):
            raise UserError(
                f"expected noise (B, {', '.join(map(str, self.latent_shape(sampling)))}) for "
                f"{sampling.height} x {sampling.width} pixels, found {tuple(noise.shape)}; fix: redraw it"
            )


def default_sampling(source: str | os.PathLike[str] | Parts, dtype: torch.dtype = torch.float32) -> Sampling:
    """The sampling of a checkpoint: its own size and shift, the rest official. Reads configs, no weights."""
    levels = read_json(component_folder(source, "vae") / "config.json").get("block_out_channels", [64])
    side = read_json(component_folder(source, "transformer") / "config.json").get("sample_size", 128)
    return Sampling(
        shift=read_shift(component_folder(source, "scheduler")),
        height=side * autoencoder_factor(levels),
        width=side * autoencoder_factor(levels),
        dtype=next(name for name, value in DTYPES.items() if value == dtype),
    )


def draw_noise(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise (B, *shape), float32 on the CPU, each from a generator of its own seed.

    The same seed gives the same noise in any batch and on any device. Of a seed, torch's generator on the CPU
    uses the lower 32 bits.
    """
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise UserError(f"expected a seed from 0 to 2^63 - 1, found {seed}; fix: choose another")
    return torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    )


def _repeat(context: Context, n: int) -> Context:
    return Context(context.tokens.expand(n, -1, -1), context.mask.expand(n, -1))


def _expect_same_number(prompts: Sequence[str], others: Sequence[object] | Tensor, what: str) -> None:
    if len(prompts) == 0 or len(prompts) != len(others):
        raise UserError(
            f"expected as many {what} as prompts and at least one, found {len(prompts)} prompts and "
            f"{len(others)} {what}; fix: give as many"
        )
