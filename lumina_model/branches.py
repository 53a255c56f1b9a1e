"""The two branches of guidance over one batch: what all steps share is prepared once, no padding is computed.

Texts are cut to the longest of their branch, so the unconditional one (a single token) is short; rotations
and masks are laid out before the first step. Both branches go through the transformer in one batch where the
shorter text must hardly be padded for that, as beside the 4096 tokens of a large image, else one after the
other. All of this is the same function of prompt and noise: only the rounding of floating point differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from lumina_model.guidance import Both
from lumina_model.image_sizes import Size
from lumina_model.mixed_sizes import crop, pad
from lumina_model.next_dit import Blocks, Context, Layout, NextDiT
from lumina_model.solvers import Velocity

#: Both branches share a batch if it pads at most this share of all tokens, or this many tokens: more work
#: costs more than the overhead of a second call (measured on a CPU with the embedded model).
MOST_PADDING: Final = 1 / 32
FEW_TOKENS: Final = 64


@dataclass(frozen=True)
class Branch:
    """One context over a batch of latents, ready for every step; call it as a velocity."""

    model: NextDiT
    context: Context
    layout: Layout
    sizes: tuple[Size, ...] | None
    blocks: Blocks | None

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, C, H, W), t a scalar -> v (B, C, H, W), 0 beyond the size of a sample."""
        x = x.to(self.context.tokens.dtype)
        time = t.to(x.device).expand(len(x))
        if self.sizes is None:
            return self.model(x, time, self.context, blocks=self.blocks, layout=self.layout)
        each = crop(x, self.sizes)
        padded = pad(self.model(each, time, self.context, blocks=self.blocks, layout=self.layout))
        return F.pad(padded, (0, x.shape[3] - padded.shape[3], 0, x.shape[2] - padded.shape[2]))


def branch(
    model: NextDiT, context: Context, latents: Sequence[int], sizes: Sequence[Size] | None = None,
    blocks: Blocks | None = None,
) -> Branch:  # fmt: skip
    """Prepare a branch.

    Args:
        model: the transformer.
        context: of the texts, (B, T, D).
        latents: shape of the state, (…, H, W).
        sizes: (h, w) of the latents of each sample; None where all fill the state.
        blocks: see `NextDiT.forward`.
    """
    p = model.config.patch_size
    grids = [(h // p, w // p) for h, w in sizes or [(latents[-2], latents[-1])]]
    return Branch(model, context, model.lay_out(context, grids), tuple(sizes) if sizes else None, blocks)


def branches(
    model: NextDiT, cond: Context, uncond: Context | None, latents: Sequence[int],
    sizes: Sequence[Size] | None = None, blocks: Blocks | None = None, *, together: bool = False,
) -> tuple[Velocity, Both]:  # fmt: skip
    """The conditional branch, and both.

    Args:
        model: the transformer.
        cond: contexts of the prompts, batch B.
        uncond: unconditional (or negative) contexts, batch B; None without guidance.
        latents: shape of the state, (…, H, W).
        sizes: see `branch`.
        blocks: see `NextDiT.forward`.
        together: share a batch at any cost, for blocks that remember the rows of a batch (`StepCache`).
    """
    cond = cond.trimmed()
    conditional = branch(model, cond, latents, sizes, blocks)
    if uncond is None:
        return conditional, lambda x, t: (conditional(x, t),) * 2
    uncond = uncond.trimmed()
    if not (together or _hardly_padded(model, cond, uncond, latents)):
        unconditional = branch(model, uncond, latents, sizes, blocks)
        return conditional, lambda x, t: (conditional(x, t), unconditional(x, t))
    joint = branch(model, cond + uncond, latents, [*sizes, *sizes] if sizes else None, blocks)

    def both(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        v_cond, v_uncond = joint(torch.cat([x, x]), t).chunk(2)
        return v_cond, v_uncond

    return conditional, both


def _hardly_padded(model: NextDiT, cond: Context, uncond: Context, latents: Sequence[int]) -> bool:
    n, longer = len(cond.tokens), max(cond.tokens.shape[1], uncond.tokens.shape[1])
    padded = n * (2 * longer - cond.tokens.shape[1] - uncond.tokens.shape[1])
    tokens = 2 * n * (longer + latents[-2] * latents[-1] // model.config.patch_size**2)
    return padded <= max(FEW_TOKENS, MOST_PADDING * tokens)
