"""Text and seed to image: text encoder, solver around the transformer, autoencoder."""

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import torch
from torch import Tensor

from lumina_model.autoencoder import Autoencoder
from lumina_model.branches import branches
from lumina_model.checkpoint import (
    Parts,
    component_folder,
    read_autoencoder,
    read_text_encoder,
    read_transformer,
    read_transformer_config,
)
from lumina_model.checkpoint_sampling import default_sampling
from lumina_model.cuda_graph import Graphs
from lumina_model.errors import UserError
from lumina_model.float8 import FLOAT8, stored_dtype, to_float8
from lumina_model.guidance import guided_velocity
from lumina_model.image_sizes import Size
from lumina_model.low_memory import TILE, Visitors
from lumina_model.mixed_sizes import crop, pad
from lumina_model.next_dit import Blocks, Context, NextDiT
from lumina_model.noise import draw_noise
from lumina_model.pictures import Picture
from lumina_model.sampling import DTYPES, ROWS, Sampling
from lumina_model.solvers import EVALUATIONS_PER_STEP, SOLVERS, Callback, Velocity
from lumina_model.step_cache import StepCache
from lumina_model.text_encoder import TextEncoder

Progress = Callable[[int, int], None]
"""(steps done, steps in all), called after every solver step of a batch."""

Features = tuple[Tensor, Tensor]
"""Of texts: (B, T, F) and the mask (B, T)."""


@dataclass(frozen=True)
class Pipeline:
    """The three parts of Lumina-Image 2.0, on one device and in one dtype.

    `sampling` is the default of this checkpoint, see `default_sampling`. With `visitors` the large parts are
    read when they are needed: `text_encoder` is None then, and `transformer` has its config but no weights.
    """

    transformer: NextDiT
    text_encoder: TextEncoder | None
    autoencoder: Autoencoder
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    sampling: Sampling = field(default_factory=Sampling)
    visitors: Visitors | None = None
    blocks: Blocks | None = None
    """What runs the joint blocks, e.g. compiled ones (`compiled.py`); under a step cache too."""
    graphs: Graphs | None = None
    """Replays a batch's evaluations (`cuda_graph.py`); not beside a step cache, which decides at each."""

    def __post_init__(self) -> None:
        if self.text_encoder and self.text_encoder.dim != self.transformer.config.cap_feat_dim:
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
        low_memory: bool = False,
        transformer: Callable[[], NextDiT] | None = None,
    ) -> "Pipeline":
        """Read a pipeline folder in diffusers layout.

        Args:
            source: the folder, or a mapping from component name (`transformer`, `text_encoder`,
                `tokenizer`, `vae`, `scheduler`) to its folder.
            device: where everything is put.
            dtype: of all weights and activations; float32 or bfloat16; float8: bfloat16, with products of
                the joint blocks in float8 (`float8.py`).
            low_memory: see `low_memory.py`: slower, the same images but for seams of tiles.
            transformer: reads another transformer than the folder's, e.g. one with adapters.

        Raises:
            UserError: a file is missing or broken, or the parts do not fit each other.
        """
        if dtype not in DTYPES.values():
            raise UserError(
                f"expected dtype {' or '.join(DTYPES)}, found {dtype}, in which Gemma-2 and the "
                "transformer overflow and images come out black; fix: take bfloat16"
            )
        if dtype == FLOAT8 and low_memory:
            raise UserError(
                "expected float8 or low_memory, found both, in Pipeline.load: layers that visit the device "
                "one by one are read in bfloat16; fix: dtype bfloat16, or low_memory=False"
            )
        device, kept = torch.device(device), stored_dtype(dtype)
        folders = {name: component_folder(source, name) for name in ("text_encoder", "tokenizer")}
        own = component_folder(source, "transformer")
        visitors = Visitors(
            functools.partial(read_text_encoder, folders["text_encoder"], folders["tokenizer"], kept),
            lambda: (transformer().to(kept) if transformer else read_transformer(own, kept)).eval(),
            device,
        )
        if low_memory:
            with torch.device("meta"):
                model, encoder = NextDiT(read_transformer_config(own)), None
        else:
            model, encoder = visitors.transformer().to(device), visitors.text_encoder()
            encoder.model.to(device)
            if dtype == FLOAT8:
                to_float8(model)
        autoencoder = read_autoencoder(component_folder(source, "vae"), kept)
        autoencoder.vae.to(device, memory_format=torch.channels_last)  # as its convolutions compute
        if low_memory:
            autoencoder.vae.enable_slicing()
            autoencoder.largest_whole = autoencoder.tile = TILE
        return cls(
            model, encoder, autoencoder, device, dtype, default_sampling(source, dtype),
            visitors if low_memory else None,
        )  # fmt: skip

    @overload
    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
        progress: Progress | None = None,
        *,
        sizes: None = None,
        images: Sequence[Picture] | None = None,
        strength: float = 1.0,
    ) -> Picture: ...
    @overload
    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
        progress: Progress | None = None,
        *,
        sizes: Sequence[Size],
        images: Sequence[Picture] | None = None,
        strength: float = 1.0,
    ) -> list[Picture]: ...
    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling | None = None,
        progress: Progress | None = None, *, sizes: Sequence[Size] | None = None,
        images: Sequence[Picture] | None = None, strength: float = 1.0,
    ) -> Picture | list[Picture]:  # fmt: skip
        """One image per (prompt, seed), all in one batch: `begin`, and its call."""
        return self.begin(prompts, seeds, sampling, progress, sizes=sizes, images=images, strength=strength)()

    def begin(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling | None = None,
        progress: Progress | None = None, *, sizes: Sequence[Size] | None = None,
        images: Sequence[Picture] | None = None, strength: float = 1.0,
    ) -> Callable[[], Picture | list[Picture]]:  # fmt: skip
        """Draw the latents of one image per (prompt, seed), all in one batch; the returned call decodes them.

        Args:
            prompts: the user's words, without system prompt.
            seeds: one per prompt, 0 to 2^63 - 1.
            sampling: how; what it does not set, or None, is this checkpoint's own.
            progress: told after every step.
            sizes: (height, width) of each image in pixels, where they differ; in place of the sampling's.
            images: to start from (img2img), uint8 (H, W, 3), each of its image's size.
            strength: with `images`, the share of the steps that are done, in (0, 1]; 1 keeps nothing of the
                image. The first steps are left out, as many as in diffusers' pipelines for flows.

        Returns:
            A call for uint8 (N, H, W, 3) in the order of the prompts; with `sizes` for a list of (H, W, 3).
            An image is a function of its own prompt and noise; only the rounding of floating point depends
            on the batch, by its size and the lengths of its texts.
        """
        sampling = (sampling or self.sampling).completed(self.sampling)
        _expect_same_number(prompts, seeds, "seeds")
        pixels = [sampling.size] * len(prompts) if sizes is None else list(sizes)
        _expect_same_number(prompts, pixels, "sizes")
        shapes = [self.latent_shape(size) for size in pixels]
        noise = pad([draw_noise([seed], shape)[0] for seed, shape in zip(seeds, shapes, strict=True)])
        latents = self.generate_latents(
            prompts, noise, sampling, progress,
            sizes=None if sizes is None else [shape[1:] for shape in shapes],
            start=None if images is None else self._latents_of(images, pixels),
            strength=strength,
        )  # fmt: skip
        return functools.partial(
            self._decoded, latents, None if sizes is None else [shape[1:] for shape in shapes]
        )

    def _decoded(self, latents: Tensor, sizes: Sequence[Size] | None) -> Picture | list[Picture]:
        if sizes is None:
            return self.autoencoder.decode(latents).numpy()  # (N, H, W, 3)
        return [self.autoencoder.decode(one[None])[0].numpy() for one in crop(latents, sizes)]

    @torch.inference_mode()
    def generate_latents(
        self,
        prompts: Sequence[str],
        noise: Tensor,
        sampling: Sampling | None = None,
        progress: Progress | None = None,
        *,
        sizes: Sequence[Size] | None = None,
        start: Tensor | None = None,
        strength: float = 1.0,
    ) -> Tensor:
        """From noise at t = 0 to normalised latents at t = 1.

        Args:
            prompts: the user's words.
            noise: (B, C, h, w).
            sampling: how; what it does not set, or None, is this checkpoint's own.
            progress: told after every step.
            sizes: (h, w) of each sample where they differ; what lies beyond is padding.
            start: latents (B, C, h, w) to start from.
            strength: see `generate`.

        Returns:
            (B, C, h, w) float32.
        """
        sampling = (sampling or self.sampling).completed(self.sampling)
        self._check(prompts, noise, sampling, mixed=sizes is not None)
        _check_start(noise, start, strength)
        grid = sampling.times(self._image_tokens(noise, sizes, sampling))
        times = _last_steps(grid, strength)
        positive, negative = self._features(prompts, sampling)
        # In low memory one sample after the other, else all at once.
        parts = [slice(i, i + 1) for i in range(len(prompts))] if self.visitors else [slice(None)]
        total = (len(times) - 1) * len(parts)
        drawn: list[Tensor] = []
        with self.visitors.drawing() if self.visitors else contextlib.nullcontext(self.transformer) as model:
            for part in parts:
                done_before = len(drawn) * (len(times) - 1)
                velocity = _velocity(
                    model, (positive[0][part], positive[1][part]), negative, sampling,
                    sampling.guidance_stop(grid), len(times) - 1, noise.shape, sizes[part] if sizes else None,
                    self.blocks, self.graphs,
                )  # fmt: skip
                x = noise[part].to(self.device)
                if start is not None and strength < 1:
                    x = times[0] * start[part].to(self.device) + (1 - times[0]) * x
                tell = None if progress is None else _teller(progress, done_before, total)
                drawn.append(SOLVERS[sampling.solver](velocity, x, times, tell))
        return torch.cat(drawn)

    @torch.inference_mode()
    def encode_prompts(self, texts: Sequence[str], sampling: Sampling | None = None) -> Context:
        """Complete texts to the context that all steps share, padded to `max_text_tokens`.

        Raises:
            UserError: the pipeline is in low memory.
        """
        if self.text_encoder is None:
            raise UserError("expected a pipeline with all parts, found one in low memory; fix: load it whole")
        sampling = (sampling or self.sampling).completed(self.sampling)
        return self.transformer.encode_context(*self.text_encoder.encode(texts, sampling.text_tokens))

    def _features(self, prompts: Sequence[str], sampling: Sampling) -> tuple[Features, Features | None]:
        """Features of the prompts, and of the one text that guidance steers away from, if it does."""
        positive = [sampling.final_text(prompt) for prompt in prompts]
        here = contextlib.nullcontext(self.text_encoder)
        with self.visitors.encoding() if self.visitors else here as encoder:
            assert encoder is not None
            found = encoder.encode(positive, sampling.text_tokens)
            if sampling.guidance == 1:
                return found, None
            # One text for all: encoded once, so that it is the same tensor for any batch size.
            return found, encoder.encode([sampling.final_negative_text()], sampling.text_tokens)

    def latent_shape(self, size: Size) -> tuple[int, int, int]:
        """Channels, height and width of the latents of an image of (height, width) pixels."""
        factor = self.autoencoder.factor
        multiple = factor * self.transformer.config.patch_size
        if min(size) < multiple or size[0] % multiple or size[1] % multiple:
            raise UserError(
                f"expected image sides divisible by {multiple}, found {size[0]} x {size[1]}; fix: the size"
            )
        return self.autoencoder.channels, size[0] // factor, size[1] // factor

    def _latents_of(self, images: Sequence[Picture], sizes: Sequence[Size]) -> Tensor:
        _expect_same_number(sizes, images, "images")
        latents = []
        for image, size in zip(images, sizes, strict=True):
            pixels = np.asarray(image)
            if pixels.dtype != np.uint8 or pixels.shape != (*size, 3):
                raise UserError(
                    f"expected an image of uint8 {(*size, 3)}, found {pixels.dtype} {pixels.shape}; "
                    "fix: resize it, and convert it to RGB"
                )
            values = (
                torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            )  # (1, 3, H, W)
            latents.append(self.autoencoder.encode(values)[0])
        return pad(latents)

    def _check(self, prompts: Sequence[str], noise: Tensor, sampling: Sampling, mixed: bool) -> None:
        _expect_same_number(prompts, noise, "noises")
        if sampling.dtype is not None and DTYPES[sampling.dtype] != self.dtype:
            raise UserError(
                f"expected sampling dtype {self.dtype}, which the pipeline was loaded in, found "
                f"{sampling.dtype}; fix: load the pipeline in that dtype"
            )
        shape = self.latent_shape(sampling.size)
        if not mixed and tuple(noise.shape[1:]) != shape:
            raise UserError(
                f"expected noise (B, {', '.join(map(str, shape))}) for {' x '.join(map(str, sampling.size))} "
                f"pixels, found {tuple(noise.shape)}; fix: redraw it"
            )

    def _image_tokens(self, noise: Tensor, sizes: Sequence[Size] | None, sampling: Sampling) -> int:
        """Image tokens of a sample, on which the dynamic shift depends; samples of a batch share a grid."""
        area = self.transformer.config.patch_size**2
        found = {height * width // area for height, width in sizes or [(noise.shape[-2], noise.shape[-1])]}
        if len(found) > 1 and sampling.dynamic_shift:
            raise UserError(
                f"expected images of one area for the dynamic shift, found {sorted(found)} tokens; "
                "fix: draw them in calls of their own, or with a static shift"
            )
        return max(found)


def _velocity(
    model: NextDiT, positive: Features, negative: Features | None, sampling: Sampling, stop: float | None,
    steps: int, shape: Sequence[int], sizes: Sequence[Size] | None, blocks: Blocks | None,
    graphs: Graphs | None,
) -> Velocity:  # fmt: skip
    """The guided velocity field of one batch, with the step cache if there is one."""
    cond = model.encode_context(*positive)
    uncond = None if negative is None else _repeat(model.encode_context(*negative), len(cond.tokens))
    if sampling.cache is not None:
        evaluations = steps * EVALUATIONS_PER_STEP[sampling.solver]
        blocks = StepCache(sampling.cache, evaluations, sampling.cache_coefficients, blocks)
    if sampling.cache is not None and graphs is not None:
        raise UserError("expected a step cache or graphs, found both, in the sampling; fix: drop one")
    latents = (len(cond.tokens), *shape[1:])
    conditional, both = branches(model, cond, uncond, latents, sizes, blocks, graphs)
    return guided_velocity(
        conditional,
        both,
        sampling.guidance,
        None if isinstance(sampling.renorm, str) else sampling.renorm,
        stop,
        start=sampling.guidance_start,
        rows=sampling.renorm == ROWS,
        every=sampling.guidance_every,
    )


def _last_steps(times: Tensor, strength: float) -> Tensor:
    """The grid's end that a strength leaves: n - int(n - n·strength) of n steps.

    As the pipelines for flows in diffusers count (pipeline_flux_img2img.py, `get_timesteps`).
    """
    steps = len(times) - 1
    return times[int(steps - min(steps * strength, steps)) :]


def _check_start(noise: Tensor, start: Tensor | None, strength: float) -> None:
    if not 0 < strength <= 1:
        raise UserError(f"expected a strength above 0 and at most 1, found {strength}; fix: the strength")
    if start is None and strength != 1:
        raise UserError(f"expected an image to start from, found none, at strength {strength}; fix: give one")
    if start is not None and start.shape != noise.shape:
        raise UserError(
            f"expected starting latents {tuple(noise.shape)}, found {tuple(start.shape)}; fix: encode images "
            "of the sampling's size"
        )


def _teller(progress: Progress, before: int, total: int) -> Callback:
    return lambda done, _time, _x: progress(before + done, total)


def _repeat(context: Context, n: int) -> Context:
    return Context(context.tokens.expand(n, -1, -1), context.mask.expand(n, -1))


def _expect_same_number(prompts: Sequence[object], others: Sequence[object] | Tensor, what: str) -> None:
    if len(prompts) == 0 or len(prompts) != len(others):
        raise UserError(
            f"expected as many {what} as prompts and at least one, found {len(prompts)} prompts and "
            f"{len(others)} {what}; fix: give as many"
        )
