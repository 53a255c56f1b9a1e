"""Several image sizes in one batch: solvers see one padded state, the transformer each sample as it is."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lumina_model.image_sizes import Size


def pad(latents: Sequence[Tensor]) -> Tensor:
    """Latents (C, Hi, Wi) of several sizes -> (B, C, max H, max W), zeros to the right and below."""
    height, width = (max(y.shape[axis] for y in latents) for axis in (1, 2))
    return torch.stack([F.pad(y, (0, width - y.shape[2], 0, height - y.shape[1])) for y in latents])


def crop(latents: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """The inverse of `pad`: (B, C, H, W) and B latent sizes -> latents (C, Hi, Wi)."""
    return [y[:, :height, :width] for y, (height, width) in zip(latents, sizes, strict=True)]
