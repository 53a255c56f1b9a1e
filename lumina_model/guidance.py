"""Classifier-free guidance and its renormalised variants."""

from collections.abc import Callable

import torch
from torch import Tensor

from lumina_model.solvers import Velocity

Both = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x (B, …), t scalar tensor on the CPU) -> conditional and unconditional v, (B, …) each."""


def classifier_free(v_cond: Tensor, v_uncond: Tensor, scale: float) -> Tensor:
    """v_u + w·(v_c - v_u): w = 1 is the conditional velocity, w = 0 the unconditional one."""
    return v_uncond + scale * (v_cond - v_uncond)


def renormalise(v: Tensor, v_cond: Tensor, ratio: float) -> Tensor:
    """CFG-Renorm: shrink each sample of v (B, …) to at most ratio times the norm of its v_cond.

    The official rule (models/model.py, `forward_with_cfg`, written for one sample): the norm goes over a
    whole sample, and v is never made longer.
    """
    axes = tuple(range(1, v.ndim))
    limit = ratio * torch.linalg.vector_norm(v_cond.float(), dim=axes, keepdim=True)  # (B, 1, …)
    norm = torch.linalg.vector_norm(v.float(), dim=axes, keepdim=True)  # (B, 1, …)
    factor = torch.where(norm >= limit, limit / norm.clamp_min(torch.finfo(torch.float32).tiny), 1.0)
    return (v.float() * factor).to(v.dtype)


def renormalise_rows(v: Tensor, v_cond: Tensor) -> Tensor:
    """diffusers' `cfg_normalization`: give each row of latents (last axis) of v the norm of v_cond's.

    Another operation than the official `renormalise`: it knows no ratio, takes each row of latents by itself,
    and lengthens as well as shrinks (pipeline_lumina2.py).
    """
    wanted, found = (torch.linalg.vector_norm(y.float(), dim=-1, keepdim=True) for y in (v_cond, v))
    return torch.where(found > 0, v.float() / found * wanted, 0.0).to(v.dtype)  # (B, C, H, W)


def truncation_of_ratio(times: Tensor, ratio: float) -> float:
    """Return the time at which diffusers' `cfg_trunc_ratio` ends the guidance.

    There, step i (0-based) of n is guided while (i + 1) / n <= ratio; the official truncation is a time. The
    two 0.25 mean different things: on the official grid with shift 6, t < 0.25 is the first two thirds of the
    steps. Solvers that look at the end of a step, Heun and rk4, see no guidance at the end of the last one.

    Args:
        times: (steps + 1,), the solver's grid.
        ratio: 0 to 1.
    """
    steps = len(times) - 1
    guided = sum((i + 1) / steps <= ratio for i in range(steps))
    return float("inf") if guided == steps else float(times[guided])


class GuidanceCache:
    """Both branches of one generation, of which the unconditional one is computed every so many evaluations.

    In between, the difference of the branches is taken to be what it was, as it moves less from step to step
    than each of them. Call it in place of `Both`.
    """

    def __init__(self, conditional: Velocity, both: Both, every: int) -> None:
        self.conditional = conditional
        self.both = both
        self.every = every
        self.done = 0
        self._difference: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, …), t a scalar -> conditional and unconditional v, (B, …) each."""
        if self._difference is None or self.done % self.every == 0:
            v_cond, v_uncond = self.both(x, t)
            self._difference = v_cond.float() - v_uncond.float()
        else:
            v_cond = self.conditional(x, t)
            v_uncond = v_cond.float() - self._difference
        self.done += 1
        return v_cond, v_uncond


def guided_velocity(
    conditional: Velocity,
    both: Both,
    scale: float,
    renorm: float | None = None,
    truncation: float | None = None,
    *,
    start: float = 0.0,
    rows: bool = False,
    every: int = 1,
) -> Velocity:
    """The velocity field that a solver follows.

    Where there is no guidance, the conditional branch alone is followed at half the cost. (The paper's Eq. 5
    keeps the *unconditional* branch there; the official code the conditional one, and so do we.)

    Args:
        conditional: velocity with the prompts.
        both: that one and the velocity with the unconditional (or negative) text; see `branches.py`.
        scale: guidance w; at 1 the unconditional branch is not computed.
        renorm: ratio of `renormalise`, None for none.
        truncation: guide while t < truncation (CFG-Trunc, on the *shifted* t as in the official code); None
            guides to the end.
        start: guide from this t on; with `truncation` a guidance interval.
        rows: follow `renormalise_rows`.
        every: compute the unconditional branch at every so many guided evaluations (`GuidanceCache`); what
            is returned then counts them, and belongs to one generation.
    """
    stop = float("inf") if truncation is None else truncation
    if every > 1:
        both = GuidanceCache(conditional, both, every)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        if scale == 1.0 or not start <= float(t) < stop:
            return conditional(x, t)
        v_cond, v_uncond = (v.float() for v in both(x, t))  # (B, C, H, W) each
        guided = classifier_free(v_cond, v_uncond, scale)
        if rows:
            guided = renormalise_rows(guided, v_cond)
        return guided if renorm is None else renormalise(guided, v_cond, renorm)

    return velocity
