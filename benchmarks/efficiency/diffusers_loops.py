"""diffusers' side of ``loop_against_diffusers``: its pipeline around our weights.

As it is; compiled; compiled without the one break in its graph; and with the cache of cache-dit, compiled
too. Text encoder and autoencoder are left out of all of them.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel
from torch import Tensor, nn

from lumina_eval.errors import UserError
from lumina_model.next_dit import NextDiT
from lumina_model.sampling import Sampling


class Lumina2CachedPipeline(Lumina2Pipeline):  # type: ignore[misc]
    """A class of its own for cache-dit, which changes a pipeline's class: the others stay as they are."""


def their_pipeline(model: NextDiT, kind: type = Lumina2Pipeline) -> Any:
    """Return diffusers' pipeline around the very weights of a model.

    Its state is in the dtype of the model, where ours is in float32 always.
    """
    known = {
        key: value for key, value in asdict(model.config).items() if key not in ("rope_theta", "qk_norm_eps")
    }
    with init_empty_weights():
        transformer = Lumina2Transformer2DModel(**known).eval()
    transformer.load_state_dict(model.state_dict(), assign=True)
    pipeline = kind(transformer, FlowMatchEulerDiscreteScheduler(shift=6.0), None, None, None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def their_latents(
    pipeline: Any, sampling: Sampling, negative_tokens: int, noise: Tensor, feats: Tensor
) -> Tensor:
    """Draw latents with diffusers' pipeline.

    Args:
        pipeline: of :func:`their_pipeline`.
        sampling: its size, steps and guidance.
        negative_tokens: valid tokens of the text that guidance steers away from, the first of ``feats``.
        noise: (B, C, h, w).
        feats: of the texts, all tokens valid, (B, T, F).
    """
    mask = torch.ones(feats.shape[:2], dtype=torch.bool, device=feats.device)
    negative = mask.clone()
    negative[:, negative_tokens:] = False
    found: Tensor = pipeline(
        prompt_embeds=feats,
        prompt_attention_mask=mask,
        negative_prompt_embeds=feats,
        negative_prompt_attention_mask=negative,
        latents=noise,
        height=sampling.height,
        width=sampling.width,
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        cfg_normalization=False,
        output_type="latent",
    ).images
    return found


def compiled(pipeline: Any, mode: str) -> Any:
    """Compile the transformer of a pipeline in a mode of ``torch.compile``, and return the pipeline.

    Without ``fullgraph``, which diffusers' documentation advises: this transformer breaks the graph.
    """
    pipeline.transformer.compile(mode=mode)
    return pipeline


def compiled_without_break(pipeline: Any, mode: str) -> Any:
    """Compile the transformer of a pipeline into one graph, and return the pipeline.

    Its rotary embedder asks the device for the lengths of the texts at each call, which breaks the graph of
    ``torch.compile``. Here it is asked once for each mask, outside of the graph.
    """
    transformer = pipeline.transformer
    transformer.rope_embedder = AskedOnce(transformer.rope_embedder, transformer.config.patch_size)

    def ask(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        transformer.rope_embedder.ask(given["hidden_states"], given["encoder_attention_mask"])

    transformer.register_forward_pre_hook(ask, with_kwargs=True)
    transformer.forward = torch.compile(transformer.forward, fullgraph=True, mode=mode)
    return pipeline


class AskedOnce(nn.Module):
    """diffusers' rotary embedder, whose answer for a mask (positions and lengths) is kept."""

    def __init__(self, own: nn.Module, patch_size: int) -> None:
        super().__init__()
        self.own, self.patch_size = own, patch_size
        self.answers: dict[int, tuple[Tensor, tuple[Any, ...]]] = {}
        self.answer: tuple[Any, ...] = ()

    def ask(self, hidden_states: Tensor, mask: Tensor) -> None:
        """Have the answer for a mask ready; the last two masks, those of both branches, are remembered."""
        if id(mask) not in self.answers:
            if len(self.answers) == 2:
                self.answers.clear()
            self.answers[id(mask)] = (mask, self.own(hidden_states, mask)[1:])  # the mask, to keep its id
        self.answer = self.answers[id(mask)][1]

    def forward(self, hidden_states: Tensor, mask: Tensor) -> tuple[Any, ...]:
        """(B, C, H, W) -> patches (B, I, p·p·C), as the embedder returns them, and the answer."""
        p = self.patch_size
        b, c, h, w = hidden_states.shape
        patches = hidden_states.view(b, c, h // p, p, w // p, p)
        return patches.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2), *self.answer


def check_cache_dit() -> None:
    """Raise UserError where cache-dit is not installed."""
    if importlib.util.find_spec("cache_dit") is None:
        raise UserError(
            "expected the package cache-dit for --cache, found none; fix: pip install "
            "'lumina-eval[cache-dit]', or --no-cache"
        )


def cached(model: NextDiT, sampling: Sampling, skips: Collection[int], mode: str | None = None) -> Any:
    """Return diffusers' pipeline with cache-dit's adapter for Lumina2, on a fixed schedule.

    Its method needs the first block at every step; the others are left out at those of ``skips``. With a
    ``mode`` each block is compiled in it.
    """
    import cache_dit

    pipeline = their_pipeline(model, Lumina2CachedPipeline)
    if mode is not None:
        for layer in pipeline.transformer.layers:
            layer.compile(mode=mode)
    config = cache_dit.DBCacheConfig(
        Fn_compute_blocks=1,
        Bn_compute_blocks=0,
        max_warmup_steps=0,
        num_inference_steps=sampling.steps,
        steps_computation_mask=[int(step not in skips) for step in range(sampling.steps)],
        steps_computation_policy="static",
    )
    logging.disable(logging.INFO)  # else it repeats what was asked for, on standard output
    try:
        cache_dit.enable_cache(pipeline, cache_config=config)
    finally:
        logging.disable(logging.NOTSET)
    return pipeline
