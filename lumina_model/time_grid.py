"""Times at which a solver visits the flow, from t = 0 (noise) to t = 1 (image).

**Steps are intervals**: n steps visit n + 1 times, as diffusers' `num_inference_steps` counts. The official
`--num_sampling_steps N` counts points: N points are N - 1 steps (its default script, N = 18, does 17).
"""

import torch
from torch import Tensor

from lumina_model.errors import UserError

OFFICIAL_SHIFT = 6.0  # official sample.py --t_shift


def shift_time(u: Tensor, shift: float) -> Tensor:
    """t = u / (u + s - s·u): more of the steps near the noise for s > 1, the same for s = 1."""
    return u / (u + shift - shift * u)


def time_grid(steps: int, shift: float = OFFICIAL_SHIFT) -> Tensor:
    """Shifted times 0 … 1 (official transport/integrators.py).

    Args:
        steps: number of intervals, at least 1.
        shift: s > 0.

    Returns:
        (steps + 1,) float32 on the CPU, rising, first exactly 0 and last exactly 1.

    Raises:
        UserError: steps or shift out of range.
    """
    if steps < 1 or shift <= 0:
        raise UserError(
            f"expected steps >= 1 and shift > 0, found {steps} and {shift}; fix: correct the sampling"
        )
    return shift_time(torch.linspace(0, 1, steps + 1, dtype=torch.float64), shift).float()
