"""Classifier-free guidance, its renormalised variant, and both branches in one forward pass."""

import torch
from torch import Tensor

from lumina_model.next_dit import Context, NextDiT
from lumina_model.solvers import Velocity


def classifier_free(v_cond: Tensor, v_uncond: Tensor, scale: float) -> Tensor:
    """v_u + w·(v_c - v_u): w = 1 is the conditional velocity, w = 0 the unconditional one."""
    return v_uncond + scale * (v_cond - v_uncond)


def renormalise(v: Tensor, v_cond: Tensor, ratio: float) -> Tensor:
    """CFG-Renorm: shrink each sample of v (B, …) to at most ratio times the norm of its v_cond.

    The official rule (models/model.py, `forward_with_cfg`): the norm goes over a whole sample, and v is
    never made longer. diffusers' `cfg_normalization` is another operation: it takes the norm over the
    last axis only, each row of latents by itself, and lengthens too.
    """
    axes = tuple(range(1, v.ndim))
    limit = ratio * torch.linalg.vector_norm(v_cond.float(), dim=axes, keepdim=True)  # (B, 1, …)
    norm = torch.linalg.vector_norm(v.float(), dim=axes, keepdim=True)  # (B, 1, …)
    factor = torch.where(norm >= limit, limit / norm.clamp_min(torch.finfo(torch.float32).tiny), 1.0)
    return (v.float() * factor).to(v.dtype)


def guided_velocity(
    model: NextDiT,
    cond: Context,
    uncond: Context,
    scale: float,
    renorm: float | None = None,
    truncation: float | None = None,
) -> Velocity:
    """The velocity field that a solver follows.

    Args:
        model: the transformer.
        cond: prompts' contexts, batch B.
        uncond: unconditional (or negative) contexts, batch B, padded to the same length.
        scale: guidance w; at 1 the unconditional branch is not computed.
        renorm: ratio of `renormalise`, None for none.
        truncation: guide while t < truncation, then follow the conditional branch alone at half the
            cost (CFG-Trunc, on the *shifted* t as in the official code); None guides to the end.
    """
    both = cond + uncond
    dtype = cond.tokens.dtype

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        x = x.to(dtype)
        if scale == 1.0 or (truncation is not None and bool(t >= truncation)):
            return model(x, t.to(x.device).expand(len(x)), cond)
        v = model(torch.cat([x, x]), t.to(x.device).expand(2 * len(x)), both)  # (2B, C, H, W)
        v_cond, v_uncond = v.float().chunk(2)  # (B, C, H, W) each
        guided = classifier_free(v_cond, v_uncond, scale)
        return guided if renorm is None else renormalise(guided, v_cond, renorm)

    return velocity
