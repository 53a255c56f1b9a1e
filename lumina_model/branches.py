"""The branches of guidance in one row of tokens: nothing is padded, masked or computed twice.

    texts                       c1 … cB  u1 … uB              refined once, before the first step
    images                      i1 … iB                       refined once per evaluation, for both branches
    row of the joint blocks     c1 i1  c2 i2 …  u1 i1  u2 i2 …

A sequence attends to itself alone (`packed_attention.py`); all else takes token by token, and all of a batch
is at one time. The refined images are the same beside any text: the length of a text moves all positions of
its image alike, and rotary attention knows differences only. All of this is the same function of prompt and
noise as `NextDiT.forward`: only the rounding of floating point differs.

Shape legend, beside that of `next_dit.py`: Q sequences (B, or 2B with guidance), ΣT text tokens of all of
them, ΣI image tokens of the B images, N = ΣT + Q/B·ΣI tokens of the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lumina_model.errors import UserError
from lumina_model.guidance import Both
from lumina_model.image_sizes import Size
from lumina_model.mixed_sizes import crop, pad
from lumina_model.next_dit import Blocks, Context, NextDiT
from lumina_model.rope import Rotation, image_rotation, join, text_rotation
from lumina_model.solvers import Velocity

Grid = tuple[int, int]
"""Rows and columns of image tokens."""


@dataclass(frozen=True)
class RowLayout:
    """Sequences one after the other in a row: what blocks need to know of it, the same at every t."""

    rotation: Rotation  # (1, N, 1, d/2, 2)
    lengths: Tensor  # (Q,) int, on the CPU


@dataclass(frozen=True)
class Row:
    """B images, each beside one or more texts, ready for every step; call it as their velocities."""

    model: NextDiT
    texts: Tensor  # (1, ΣT, D), of Q texts: Q is a multiple of B, text q goes with image q mod B
    images: RowLayout  # the B images by themselves
    joint: RowLayout  # the Q texts, each with its image behind it
    order: Tensor  # (N,): the token of [texts ; images] that stands at each place of the row
    places: Tensor  # (Q/B·ΣI,): where the row has the image tokens, sequence by sequence
    sizes: tuple[Size, ...] | None
    blocks: Blocks | None

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, C, H, W), t a scalar -> (Q, C, H, W), 0 beyond the size of a sample; B as it was prepared."""
        model = self.model
        x = x.to(self.texts.dtype)
        # Written there and not copied there, for which the host would wait.
        t = t if t.device == x.device else torch.full((), float(t), device=x.device)
        time = model.time_caption_embed.timestep_embedder(t.reshape(1))  # (1, E)
        each = [x] if self.sizes is None else [one[None] for one in crop(x, self.sizes)]
        patches = torch.cat([model.patchify(one).flatten(0, 1) for one in each])[None]  # (1, ΣI, p·p·C)
        tokens = model.x_embedder(patches)  # (1, ΣI, D)
        for refiner in model.noise_refiner:
            tokens = refiner(tokens, time, self.images.rotation, self.images.lengths)
        tokens = torch.cat([self.texts, tokens], dim=1)[:, self.order]  # (1, N, D)
        run = self.blocks or NextDiT.run_blocks
        tokens = run(model, tokens, time, self.joint.rotation, self.joint.lengths)
        patches = model.norm_out(tokens[:, self.places], time)[0]  # (Q/B·ΣI, p·p·C)
        return self._unpatchify(patches, x)

    def _unpatchify(self, patches: Tensor, x: Tensor) -> Tensor:
        """(Q/B·ΣI, p·p·C) -> (Q, C, H, W), of the height and width of x."""
        p, repeats = self.model.config.patch_size, len(self.joint.lengths) // len(x)
        if self.sizes is None:
            rows, columns = x.shape[2] // p, x.shape[3] // p
            return self.model.unpatchify(patches.unflatten(0, (-1, rows * columns)), rows, columns)
        grids = [(height // p, width // p) for height, width in self.sizes] * repeats
        parts = patches.split([rows * columns for rows, columns in grids])
        found = [self.model.unpatchify(part[None], *grid)[0] for part, grid in zip(parts, grids, strict=True)]
        padded = pad(found)
        return F.pad(padded, (0, x.shape[3] - padded.shape[3], 0, x.shape[2] - padded.shape[2]))


def branches(
    model: NextDiT, cond: Context, uncond: Context | None, latents: Sequence[int],
    sizes: Sequence[Size] | None = None, blocks: Blocks | None = None,
    prepared: Callable[[Velocity], Velocity] | None = None,
) -> tuple[Velocity, Both]:  # fmt: skip
    """The conditional branch, and both.

    Args:
        model: the transformer.
        cond: contexts of the prompts, batch B.
        uncond: unconditional (or negative) contexts, batch B; None without guidance.
        latents: shape of the state, (B, C, H, W).
        sizes: (h, w) of the latents of each sample; None where all fill the state.
        blocks: what runs the joint blocks in place of `NextDiT.run_blocks`, e.g. a `StepCache`.
        prepared: gives what is called in place of a row at each evaluation, e.g. `cuda_graph.Graphs`.
    """
    prepared = prepared or _as_is
    conditional = prepared(row(model, [cond], latents, sizes, blocks))
    if uncond is None:
        return conditional, lambda x, t: (conditional(x, t),) * 2
    joint = prepared(row(model, [cond, uncond], latents, sizes, blocks))

    def both(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        v_cond, v_uncond = joint(x, t).chunk(2)
        return v_cond, v_uncond

    return conditional, both


def _as_is(velocity: Velocity) -> Velocity:
    return velocity


def row(
    model: NextDiT, contexts: Sequence[Context], latents: Sequence[int],
    sizes: Sequence[Size] | None = None, blocks: Blocks | None = None,
) -> Row:  # fmt: skip
    """Prepare a row of the same images beside each of several contexts, see `branches`.

    The host waits for the device a few times, to learn how long the texts are: per batch, not per step.

    Raises:
        UserError: latents that the model does not take, or another number of texts or sizes than of them.
    """
    n, channels, height, width = latents
    for number, what in ((len(sizes or [()] * n), "sizes"), *((len(one.mask), "texts") for one in contexts)):
        if number != n:
            raise UserError(f"expected one of {what} for each of {n} latents, found {number}; fix: give {n}")
    p = model.config.patch_size
    for size in set(sizes or [(height, width)]):
        model.check_latent_shape((channels, *size))
    grids = [(h // p, w // p) for h, w in sizes or [(height, width)] * n]
    areas = [rows * columns for rows, columns in grids]  # B numbers
    tokens = torch.cat([context.tokens[context.mask] for context in contexts])  # (ΣT, D)
    lengths = torch.cat([context.mask.sum(dim=1) for context in contexts]).tolist()  # Q numbers
    images_at = torch.arange(len(tokens), len(tokens) + sum(areas)).split(areas)
    texts_at = torch.arange(len(tokens)).split(lengths)
    order = torch.cat([at for i, text in enumerate(texts_at) for at in (text, images_at[i % n])])  # (N,)
    return Row(
        model,
        tokens[None],
        _layout(model, [0] * n, grids, tokens.device),
        _layout(model, lengths, grids * len(contexts), tokens.device),
        order.to(tokens.device),
        torch.nonzero(order >= len(tokens))[:, 0].to(tokens.device),
        None if sizes is None else tuple(sizes),
        blocks,
    )


def _layout(model: NextDiT, lengths: Sequence[int], grids: Sequence[Grid], device: torch.device) -> RowLayout:
    """Sequences of a text of each length, which may be 0, and an image of each grid."""
    axes, theta = model.config.axes_dim_rope, model.config.rope_theta
    shapes = list(zip(lengths, grids, strict=True))
    rotations = {
        (length, grid): join(
            text_rotation(length, axes, theta, device),
            image_rotation(torch.tensor([length], device=device), *grid, axes, theta),
        )
        for length, grid in set(shapes)
    }
    rotation = torch.cat([rotations[shape] for shape in shapes], dim=1)
    return RowLayout(rotation, torch.tensor([length + rows * columns for length, (rows, columns) in shapes]))
