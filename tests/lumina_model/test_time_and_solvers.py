"""The time grid's two formulas, and the order of the solvers on an equation with a known solution."""

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.errors import UserError
from lumina_model.solvers import EVALUATIONS_PER_STEP, SOLVERS
from lumina_model.time_grid import dynamic_shift, time_grid


@given(steps=st.integers(1, 200), shift=st.floats(0.1, 20))
def test_official_and_diffusers_grids_are_one(steps: int, shift: float) -> None:
    times = time_grid(steps, shift)
    assert times.shape == (steps + 1,)
    assert times[0] == 0
    assert times[-1] == 1
    assert (times.diff() > 0).all()
    # diffusers' FlowMatchEulerDiscreteScheduler with static shift: noise levels 1 … 1/n shifted, then 0
    sigma = torch.linspace(1, 1 / steps, steps, dtype=torch.float64)
    sigma = torch.cat([shift * sigma / (1 + (shift - 1) * sigma), torch.zeros(1)])
    torch.testing.assert_close(times, 1 - sigma.float(), atol=2e-7, rtol=0)


def test_grid_of_the_official_script() -> None:
    """18 points, shift 6: Euler's last evaluation is at t = 0.727 (counted on the official solver)."""
    assert time_grid(17, 6.0)[-2].item() == pytest.approx(0.727, abs=5e-4)


def test_grid_of_diffusers_scheduler() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 30, 30).tolist())
    torch.testing.assert_close(time_grid(30, 6.0), 1 - scheduler.sigmas, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("steps", "shift"), [(0, 6.0), (4, 0.0)])
def test_bad_grid(steps: int, shift: float) -> None:
    with pytest.raises(UserError, match="steps >= 1 and shift > 0"):
        time_grid(steps, shift)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_order(name: str, order: int, shift: float) -> None:
    """dx/dt = x + t has the solution (x0 + 1) e^t - t - 1."""
    x0 = torch.tensor([1.0, -2.0], dtype=torch.float64)
    exact = (x0 + 1) * math.e - 2

    def error(steps: int) -> float:
        x = SOLVERS[name](lambda x, t: x + t, x0, time_grid(steps, shift).double())
        return (x - exact).abs().max().item()

    measured = math.log2(error(32) / error(64))
    assert measured == pytest.approx(order, abs=0.15)


def gaussian_flow(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Exact velocity of the flow from N(0, 1) to images N(1, 0.25): E[image - noise | x]."""
    t = t.to(x.dtype)
    variance = t**2 * 0.25 + (1 - t) ** 2
    return 1 + (t * 0.25 - (1 - t)) / variance * (x - t)


def test_order_of_dpm_on_a_grid_uniform_in_lambda() -> None:
    """Away from the ends it is of order 2; on the official grid no order is claimed."""
    x0 = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def final(solver: str, steps: int) -> torch.Tensor:
        times = torch.sigmoid(torch.linspace(-3, 3, steps + 1, dtype=torch.float64))
        return SOLVERS[solver](gaussian_flow, x0, times)

    exact = final("rk4", 400)
    errors = [(final("dpm", steps) - exact).abs().max().item() for steps in (80, 160)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


@given(steps=st.integers(1, 60), shift=st.floats(0.5, 12))
def test_dpm_ends_at_the_predicted_image_and_is_finite(steps: int, shift: float) -> None:
    predicted = []

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        v = gaussian_flow(x, t)
        predicted.append(x + (1 - t) * v)
        return v

    times = time_grid(steps, shift, "dpm")
    x = SOLVERS["dpm"](velocity, torch.tensor([-1.5, 0.0, 2.0]), times)
    assert torch.isfinite(x).all()
    torch.testing.assert_close(x, predicted[-1])
    assert len(predicted) == steps
    assert times[0] == pytest.approx(1 - shift * 0.999 / (1 + (shift - 1) * 0.999), abs=1e-6)


def test_grids_by_name_and_the_dynamic_shift() -> None:
    torch.testing.assert_close(time_grid(30, 6.0, "diffusers"), time_grid(30, 6.0), atol=2e-7, rtol=0)
    assert time_grid(18, 6.0, "dpm")[0] == pytest.approx(0.000167, abs=1e-6)
    assert time_grid(18, 6.0, "dpm")[-2] == pytest.approx(0.739, abs=5e-4)
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 20, 20).tolist(), mu=0.5 + 0.65 * 768 / 3840)
    torch.testing.assert_close(
        time_grid(20, dynamic_shift(1024), "diffusers"), 1 - scheduler.sigmas, atol=1e-6, rtol=0
    )
    assert (dynamic_shift(256), dynamic_shift(4096)) == pytest.approx((math.exp(0.5), math.exp(1.15)))
    with pytest.raises(UserError, match="official, diffusers, dpm"):
        time_grid(4, 6.0, "karras")


@pytest.mark.parametrize("name", SOLVERS)
def test_straight_lines_are_exact_and_counted(name: str) -> None:
    image, noise = torch.randn(2, 3), torch.randn(2, 3)
    calls, told = [], []

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(float(t))
        return image - noise

    x = SOLVERS[name](velocity, noise, time_grid(5), lambda done, t, x: told.append((done, float(t))))
    torch.testing.assert_close(x, image)
    assert len(calls) == 5 * EVALUATIONS_PER_STEP[name]
    assert calls[0] == 0
    assert max(calls) < 1 or name in ("heun", "rk4")  # they look at the end of each step too
    assert [done for done, _ in told] == [1, 2, 3, 4, 5]
    assert told[-1][1] == 1


@pytest.mark.parametrize("name", SOLVERS)
def test_state_is_float32_whatever_the_model_computes_in(name: str) -> None:
    x = SOLVERS[name](lambda x, t: x.bfloat16(), torch.ones(1, dtype=torch.bfloat16), time_grid(3))
    assert x.dtype == torch.float32
