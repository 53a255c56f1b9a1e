"""Solvers of dx/dt = v(x, t) on a given time grid: pure functions of one signature.

The state is float32 (float64 if it comes as that), whatever dtype the velocity is computed in.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x (B, …), t scalar tensor on the CPU) -> v (B, …)."""

Callback = Callable[[int, Tensor, Tensor], None]
"""(steps done, time reached, state there), called after every step."""

Solver = Callable[..., Tensor]


def euler(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Euler's method, order 1, one evaluation per step.

    Args:
        velocity: right-hand side.
        x: state at times[0].
        times: (steps + 1,), on the CPU so that no step waits for the device.
        callback: told after every step.

    Returns:
        The state at times[-1].
    """
    x = _state(x)
    for i in range(len(times) - 1):
        x = x + (times[i + 1] - times[i]) * velocity(x, times[i]).to(x.dtype)
        if callback is not None:
            callback(i + 1, times[i + 1], x)
    return x


def midpoint(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Explicit midpoint method, order 2, two evaluations per step; arguments as for `euler`.

    The middle is the arithmetic middle of the *shifted* times, as in torchdiffeq, which the official
    code calls.
    """
    x = _state(x)
    for i in range(len(times) - 1):
        step = times[i + 1] - times[i]
        middle = x + step / 2 * velocity(x, times[i]).to(x.dtype)
        x = x + step * velocity(middle, times[i] + step / 2).to(x.dtype)
        if callback is not None:
            callback(i + 1, times[i + 1], x)
    return x


SOLVERS: dict[str, Solver] = {"euler": euler, "midpoint": midpoint}

EVALUATIONS_PER_STEP: dict[str, int] = {"euler": 1, "midpoint": 2}


def _state(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
