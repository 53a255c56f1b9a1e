"""Several image sizes in one batch: solvers see one padded state, the transformer each sample as it is."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lumina_model.guidance import Branches
from lumina_model.image_sizes import Size
from lumina_model.next_dit import Blocks, Context, NextDiT


def pad(latents: Sequence[Tensor]) -> Tensor:
    """Latents (C, Hi, Wi) of several sizes -> (B, C, max H, max W), zeros to the right and below."""
    height, width = (max(y.shape[axis] for y in latents) for axis in (1, 2))
    return torch.stack([F.pad(y, (0, width - y.shape[2], 0, height - y.shape[1])) for y in latents])


def crop(latents: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """The inverse of `pad`: (B, C, H, W) and B latent sizes -> latents (C, Hi, Wi)."""
    return [y[:, :height, :width] for y, (height, width) in zip(latents, sizes, strict=True)]


def on_sizes(model: NextDiT, sizes: Sequence[Size] | None, blocks: Blocks | None = None) -> Branches:
    """The transformer as solvers and guidance see it: one padded state for images of several sizes.

    Args:
        model: the transformer.
        sizes: of the latents of each sample; None where all fill the state.
        blocks: see `NextDiT.forward`.

    Returns:
        Velocity of (x, t, context); x may hold the samples several times over, as guidance does. Padding
        has the velocity 0.
    """

    def velocity(x: Tensor, t: Tensor, context: Context) -> Tensor:
        if sizes is None:
            return model(x, t, context, blocks=blocks)
        each = crop(x, [*sizes] * (len(x) // len(sizes)))
        padded = pad(model(each, t, context, blocks=blocks))
        return F.pad(padded, (0, x.shape[3] - padded.shape[3], 0, x.shape[2] - padded.shape[2]))

    return velocity
