"""Useful floating-point operations of Lumina-Image 2.0, by formula: matrix products over tokens that count.

A multiplication with its addition counts as two. Norms, rotations, activations and padding count as nothing,
so a fraction of a device's peak that is computed with these is a lower bound of how busy it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lumina_model.config import NextDiTConfig
from lumina_model.guidance import guided_velocity
from lumina_model.sampling import Sampling
from lumina_model.solvers import SOLVERS


@dataclass(frozen=True)
class Evaluations:
    """How often a sampling looks at the velocity of a sample."""

    conditional: int
    unconditional: int

    @property
    def nfe(self) -> int:
        """Network evaluations of a sample, both branches counted."""
        return self.conditional + self.unconditional


def evaluations(sampling: Sampling, image_tokens: int) -> Evaluations:
    """Count the evaluations by letting the solver run on a state of one number.

    A step cache skips some of these, depending on the image: they are counted as if it did not.
    """
    seen = {"conditional": 0, "unconditional": 0}

    def conditional(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen["conditional"] += 1
        return x

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen["unconditional"] += 1
        return conditional(x, t), x

    times = sampling.times(image_tokens)
    velocity = guided_velocity(
        conditional,
        both,
        sampling.guidance,
        None,
        sampling.guidance_stop(times),
        start=sampling.guidance_start,
        every=sampling.guidance_every,
    )
    SOLVERS[sampling.solver](velocity, torch.zeros(1, 1, 1, 1), times)
    return Evaluations(**seen)


def image_side_flops(config: NextDiTConfig, image_tokens: int) -> int:
    """Operations of an evaluation that both branches share: the image's embedding and refiner, and time."""
    modulations = (config.num_layers + config.num_refiner_layers) * 4 + 1
    time = 2 * config.time_dim * (256 + config.time_dim + modulations * config.hidden_size)
    refiner = config.num_refiner_layers * block_flops(config, image_tokens)
    return time + _end_flops(config, image_tokens) + refiner


def branch_flops(config: NextDiTConfig, text_tokens: int, image_tokens: int) -> int:
    """Operations of one branch of an evaluation, its context given: joint blocks and last layer."""
    joint = config.num_layers * block_flops(config, text_tokens + image_tokens)
    return joint + _end_flops(config, image_tokens)


def context_flops(config: NextDiTConfig, text_tokens: int) -> int:
    """Operations of the context of one text: once per image and branch, not once per step."""
    embedding = 2 * text_tokens * config.cap_feat_dim * config.hidden_size
    return embedding + config.num_refiner_layers * block_flops(config, text_tokens)


def block_flops(config: NextDiTConfig, tokens: int) -> int:
    """Operations of a block over a sequence: four projections, attention, three maps of the feed-forward."""
    kv_dim = config.num_kv_heads * config.head_dim
    weights = config.hidden_size * (2 * config.hidden_size + 2 * kv_dim + 3 * config.ffn_dim)
    return 2 * tokens * weights + 4 * tokens**2 * config.hidden_size


def _end_flops(config: NextDiTConfig, image_tokens: int) -> int:
    """The map from patches to tokens, or the one back."""
    return 2 * image_tokens * config.patch_size**2 * config.in_channels * config.hidden_size


def image_flops(
    config: NextDiTConfig,
    sampling: Sampling,
    text_tokens: Sequence[int],
    negative_tokens: int,
    image_tokens: int,
) -> float:
    """Operations of the transformer for an image, on average over texts of these lengths.

    Text encoder and autoencoder are left out. What several images share, of time for a batch, is counted for
    each.
    """
    count = evaluations(sampling, image_tokens)
    prompts = [
        count.conditional * branch_flops(config, tokens, image_tokens) + context_flops(config, tokens)
        for tokens in text_tokens
    ]
    images = count.conditional * image_side_flops(config, image_tokens)
    negative = count.unconditional * branch_flops(config, negative_tokens, image_tokens)
    return images + sum(prompts) / len(prompts) + negative
