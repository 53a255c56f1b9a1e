"""Times at which a solver visits the flow, from t = 0 (noise) to t = 1 (image).

**Steps are intervals**: n steps visit n + 1 times, as diffusers' `num_inference_steps` counts. The official
`--num_sampling_steps N` counts points: N points are N - 1 steps (its default script, N = 18, does 17), except
with its DPM solver, where N is the number of steps.
"""

import math

import torch
from torch import Tensor

from lumina_model.errors import UserError

OFFICIAL_SHIFT = 6.0  # official sample.py --t_shift

GRIDS = ("official", "diffusers", "dpm")

_DPM_LAST = 0.001  # official transport/dpm_solver.py: where its signal levels end before the shift


def shift_time(u: Tensor, shift: float) -> Tensor:
    """t = u / (u + s - s·u): more of the steps near the noise for s > 1, the same for s = 1."""
    return u / (u + shift - shift * u)


def dynamic_shift(
    image_tokens: int, base: tuple[int, float] = (256, 0.5), end: tuple[int, float] = (4096, 1.15)
) -> float:
    """Return the shift e^mu, mu being linear in the number of image tokens.

    The two points are those of diffusers' scheduler and of the official training (transport.py). Both
    pipelines pass the number of latent channels in place of the number of tokens (diffusers issue 12913);
    this does not.

    Args:
        image_tokens: rows times columns, (height / 16)·(width / 16).
        base: tokens and mu of one point.
        end: tokens and mu of another.
    """
    slope = (end[1] - base[1]) / (end[0] - base[0])
    return math.exp(base[1] + slope * (image_tokens - base[0]))


def time_grid(steps: int, shift: float = OFFICIAL_SHIFT, grid: str = "official") -> Tensor:
    """Shifted times, rising.

    Args:
        steps: number of intervals, at least 1.
        shift: s > 0.
        grid: ``official`` (transport/integrators.py) and ``diffusers`` (FlowMatchEulerDiscreteScheduler over
            levels of noise 1 … 1/n, then 0) are one grid from 0 to 1 but for rounding; ``dpm`` is that of the
            official Flow-DPM-Solver, which starts a little after 0, where its logarithms are finite.

    Returns:
        (steps + 1,) float32 on the CPU, first 0 (``dpm``: 0.000167 at shift 6) and last exactly 1.

    Raises:
        UserError: steps or shift out of range, or no such grid.
    """
    if steps < 1 or not 0 < shift < math.inf:
        raise UserError(
            f"expected steps >= 1 and shift > 0, found {steps} and {shift}; fix: correct the sampling"
        )
    if grid == "official":
        return shift_time(torch.linspace(0, 1, steps + 1, dtype=torch.float64), shift).float()
    if grid == "diffusers":
        noise = torch.linspace(1, 1 / steps, steps, dtype=torch.float64)
        noise = torch.cat([shift * noise / (1 + (shift - 1) * noise), torch.zeros(1, dtype=torch.float64)])
        return (1 - noise).float()
    if grid == "dpm":
        noise = (1 - torch.linspace(1, _DPM_LAST, steps + 1, dtype=torch.float64)).flip(0)
        return (1 - shift * noise / (1 + (shift - 1) * noise)).float()
    raise UserError(f"expected a grid out of {', '.join(GRIDS)}, found {grid!r}; fix: take one of them")
