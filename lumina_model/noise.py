"""The noise that an image begins as, of its own seed alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lumina_model.errors import UserError


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
