"""Solvers of dx/dt = v(x, t) on a given time grid: pure functions of one signature.

    solver(velocity, x, times, callback=None) -> state at times[-1]

``velocity`` is the right-hand side, ``x`` the state (B, …) at times[0], ``times`` (steps + 1,) rise and lie
on the CPU so that no step waits for the device, and ``callback`` is told after every step. The state is
float32 (float64 if it comes as that), whatever dtype the velocity is computed in.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x (B, …), t scalar tensor on the CPU) -> v (B, …)."""

Callback = Callable[[int, Tensor, Tensor], None]
"""(steps done, time reached, state there), called after every step."""

Solver = Callable[..., Tensor]


def euler(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Euler's method: order 1, one evaluation per step (official sample.py, torchdiffeq ``euler``)."""
    x = _state(x)
    for i in range(len(times) - 1):
        x = x + (times[i + 1] - times[i]) * velocity(x, times[i]).to(x.dtype)
        _tell(callback, i, times, x)
    return x


def midpoint(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Explicit midpoint: order 2, two evaluations per step (scripts/sample.sh, torchdiffeq ``midpoint``).

    The middle is the arithmetic middle of the *shifted* times.
    """
    x = _state(x)
    for i in range(len(times) - 1):
        step = times[i + 1] - times[i]
        middle = x + step / 2 * velocity(x, times[i]).to(x.dtype)
        x = x + step * velocity(middle, times[i] + step / 2).to(x.dtype)
        _tell(callback, i, times, x)
    return x


def heun(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Heun's method, the explicit trapezoid: order 2, two evaluations per step (torchdiffeq ``heun2``).

    It looks at both ends of each step, so at t = 1 too.
    """
    x = _state(x)
    for i in range(len(times) - 1):
        step = times[i + 1] - times[i]
        first = velocity(x, times[i]).to(x.dtype)
        second = velocity(x + step * first, times[i + 1]).to(x.dtype)
        x = x + step / 2 * (first + second)
        _tell(callback, i, times, x)
    return x


def rk4(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """Kutta's 3/8 rule: order 4, four evaluations per step, the last at the step's end.

    torchdiffeq, which the official demo calls, means this rule by ``rk4`` and not the classical one.
    """
    x = _state(x)
    for i in range(len(times) - 1):
        t, step = times[i], times[i + 1] - times[i]
        k1 = velocity(x, t).to(x.dtype)
        k2 = velocity(x + step * k1 / 3, t + step / 3).to(x.dtype)
        k3 = velocity(x + step * (k2 - k1 / 3), t + step * 2 / 3).to(x.dtype)
        k4 = velocity(x + step * (k1 - k2 + k3), times[i + 1]).to(x.dtype)
        x = x + step / 8 * (k1 + 3 * (k2 + k3) + k4)
        _tell(callback, i, times, x)
    return x


def dpm(velocity: Velocity, x: Tensor, times: Tensor, callback: Callback | None = None) -> Tensor:
    """DPM-Solver++(2M) in flow form (Flow-DPM-Solver): order 2, one evaluation per step.

    Official transport/dpm_solver.py with ``dpmsolver++``, multistep, order 2, lower_order_final. The state
    mixes image and noise as x = t·image + (1 - t)·noise, so alpha = t, sigma = 1 - t and lambda = ln(t / (1 -
    t)); the image is predicted as x + sigma·v. The first step has no predecessor and the last one, to sigma =
    0, would be infinite in order 2: both are of order 1, and the last returns the predicted image.
    """
    x = _state(x)
    t = [float(time) for time in times.double()]
    image_before = x
    for i in range(len(t) - 1):
        now, then = t[i], t[i + 1]
        image = x + (1 - now) * velocity(x, times[i]).to(x.dtype)
        target = image
        if 0 < i < len(t) - 2:
            ratio = (_log_snr(then) - _log_snr(now)) / (_log_snr(now) - _log_snr(t[i - 1]))
            target = image + ratio / 2 * (image - image_before)
        # -alpha·expm1(-h), written so that neither end of the grid is infinite
        x = (1 - then) / (1 - now) * x + (then - (1 - then) * now / (1 - now)) * target
        image_before = image
        _tell(callback, i, times, x)
    return x


SOLVERS: dict[str, Solver] = {"euler": euler, "midpoint": midpoint, "heun": heun, "rk4": rk4, "dpm": dpm}

EVALUATIONS_PER_STEP: dict[str, int] = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "dpm": 1}


def _log_snr(t: float) -> float:
    return math.log(t / (1 - t)) if t > 0 else -math.inf


def _state(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _tell(callback: Callback | None, i: int, times: Tensor, x: Tensor) -> None:
    if callback is not None:
        callback(i + 1, times[i + 1], x)
