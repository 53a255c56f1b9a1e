"""Solvers against the libraries that the official code and diffusers call."""

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from torchdiffeq import odeint

from lumina_model.solvers import SOLVERS
from lumina_model.time_grid import time_grid


def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Curved, of both arguments."""
    return torch.sin(3 * x) + torch.cos(5 * t) * x.flip(-1) - 0.3


@pytest.mark.parametrize(
    ("ours", "theirs"), [("euler", "euler"), ("midpoint", "midpoint"), ("heun", "heun2"), ("rk4", "rk4")]
)
def test_equals_torchdiffeq_on_the_official_grid(ours: str, theirs: str) -> None:
    x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    times = time_grid(17, 6.0).double()
    expected = odeint(lambda t, y: velocity(y, t), x, times, method=theirs)[-1]
    torch.testing.assert_close(SOLVERS[ours](velocity, x, times), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 18, 30])
@pytest.mark.parametrize("shift", [1.0, 6.0])
def test_dpm_equals_diffusers(steps: int, shift: float) -> None:
    scheduler = DPMSolverMultistepScheduler(
        solver_order=2,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(steps)
    times = time_grid(steps, shift, "dpm")
    torch.testing.assert_close(1 - scheduler.sigmas, times, atol=1e-6, rtol=0)
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    expected = x
    for i, moment in enumerate(scheduler.timesteps):
        noise_minus_image = -velocity(expected, times[i])
        expected = scheduler.step(noise_minus_image, moment, expected).prev_sample
    torch.testing.assert_close(SOLVERS["dpm"](velocity, x, times), expected, atol=2e-4, rtol=2e-4)
