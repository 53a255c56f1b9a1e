"""Multi-axis rotary position embedding (mRoPE) of Lumina-Image 2.0.

Every token has a position on three axes (sequence, row, column); each axis turns its own share of the
head's dimensions. Text token i sits at (i, 0, 0); image token (r, c) at (L, r, c), L being the number of
valid text tokens of its sample (official models/model.py, ``patchify_and_embed``).

Shapes: B batch, N tokens, H heads, d one axis' dimensions, D = sum of the axes' d = head dimensions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Rotation = Tensor
"""Cosine and sine of each angle, (B or 1, N, 1, D/2, 2) in float32: the 1 broadcasts over the heads."""


def axis_angles(positions: Tensor, dim: int, theta: float) -> Tensor:
    """Angles p·theta^(-2k/dim) for k = 0 … dim/2 - 1.

    Args:
        positions: integer positions, any shape (...).
        dim: dimensions given to this axis, even.
        theta: base of the frequencies (10000).

    Returns:
        (..., dim/2). In float64 where the device has it, as the published tables are: at position 300 a
        float32 product is already off by 1e-5.
    """
    dtype = torch.float32 if positions.device.type == "mps" else torch.float64
    exponents = torch.arange(0, dim, 2, dtype=dtype, device=positions.device) / dim  # (d/2,)
    return positions[..., None].to(dtype) * theta**-exponents  # (..., d/2)


def text_rotation(length: int, axes_dim: Sequence[int], theta: float, device: torch.device) -> Rotation:
    """Rotation of text tokens 0 … length - 1 at (i, 0, 0), the same for every sample: (1, N, 1, D/2, 2)."""
    index = torch.arange(length, device=device)  # (N,)
    rest = torch.zeros(length, (sum(axes_dim) - axes_dim[0]) // 2, device=device)
    angles = torch.cat([axis_angles(index, axes_dim[0], theta), rest], dim=-1)  # (N, D/2)
    return _rotation(angles[None])


def image_rotation(
    text_lengths: Tensor, rows: int, columns: int, axes_dim: Sequence[int], theta: float
) -> Rotation:
    """Rotation of a rows x columns token grid, row by row, behind texts of the given lengths (B,).

    Returns:
        (B, rows·columns, 1, D/2, 2).
    """
    device = text_lengths.device
    n = len(text_lengths)
    sequence = axis_angles(text_lengths, axes_dim[0], theta)[:, None, None]  # (B, 1, 1, d0/2)
    row = axis_angles(torch.arange(rows, device=device), axes_dim[1], theta)[None, :, None]  # (1, R, 1, d1/2)
    column = axis_angles(torch.arange(columns, device=device), axes_dim[2], theta)[
        None, None
    ]  # (1, 1, C, d2/2)
    grid = [part.expand(n, rows, columns, -1) for part in (sequence, row, column)]
    return _rotation(torch.cat(grid, dim=-1).flatten(1, 2))  # (B, R·C, 1, D/2)


def join(first: Rotation, second: Rotation) -> Rotation:
    """Rotation of the sequence [first ; second]; a batch of 1 is expanded to the other's."""
    n = max(len(first), len(second))
    return torch.cat([part.expand(n, -1, -1, -1, -1) for part in (first, second)], dim=1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the adjacent pairs (2k, 2k+1) of x (B, N, H, D) by the k-th angle, in float32; dtype is kept."""
    pairs = x.float().unflatten(-1, (-1, 2))  # (B, N, H, D/2, 2)
    if torch.compiler.is_compiling():  # it writes no code for complex numbers, which are faster without it
        cos, sin = rotation.unbind(-1)  # (B or 1, N, 1, D/2) each
        even, odd = pairs.unbind(-1)  # (B, N, H, D/2) each
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(rotation))
    return turned.flatten(-2).to(x.dtype)  # (B, N, H, D)


def _rotation(angles: Tensor) -> Rotation:
    angles = angles[:, :, None]  # (B, N, 1, D/2)
    return torch.stack([angles.cos().float(), angles.sin().float()], dim=-1)
