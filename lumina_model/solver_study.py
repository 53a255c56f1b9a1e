"""How fast each solver converges, on a flow whose solution is known: the table and the plot of the docs.

The flow leads from noise N(0, 1) to "images" on a line: a mixture of two normal distributions. Its velocity
E[image - noise | x_t = x] is exact. On a line a flow keeps the order of points, so a point keeps its
quantile: x(t) has the mass below it in the distribution at t that x(s) had below it in that at s.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lumina_model.solvers import EVALUATIONS_PER_STEP, SOLVERS
from lumina_model.time_grid import time_grid

MEANS, DEVIATION = (-1.0, 1.5), 0.5  # of the two kinds of images, equally frequent
STEPS = (4, 8, 16, 32, 64, 128, 256)
LAMBDA = 3.0  # the grid that is uniform in lambda runs from -3 to 3


@dataclasses.dataclass(frozen=True)
class Convergence:
    """Errors of one solver on one kind of grid.

    Attributes:
        solver: its name.
        grid: ``official``, or ``lambda``: uniform in ln(t / (1 - t)) between two inner times.
        steps: how many steps were done.
        errors: root mean square error of the final states, for each number of steps.
    """

    solver: str
    grid: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]

    @property
    def order(self) -> float:
        """Measured order of convergence: log2 of what the last doubling of the steps gained."""
        return math.log2(self.errors[-2] / self.errors[-1])

    @property
    def evaluations(self) -> tuple[int, ...]:
        """Evaluations of the velocity, for each number of steps."""
        return tuple(steps * EVALUATIONS_PER_STEP[self.solver] for steps in self.steps)


def velocity(x: Tensor, t: Tensor) -> Tensor:
    """Exact velocity at x (…) and t: each kind's own, by how likely the kind is at x."""
    t = t.to(x.dtype)
    means, variance = x.new_tensor(MEANS), _variance(t)
    away = x[..., None] - t * means  # (…, 2)
    each = means + (t * DEVIATION**2 - (1 - t)) / variance * away  # (…, 2)
    return (torch.softmax(-(away**2) / (2 * variance), dim=-1) * each).sum(-1)


def solution(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Where the flow takes x (…) from one time to another, by bisection of the quantile; float64."""
    mass = _below(x, start)
    low, high = torch.full_like(x, -20), torch.full_like(x, 20)
    for _ in range(80):
        middle = (low + high) / 2
        less = _below(middle, end) < mass
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return (low + high) / 2


def lambda_grid(steps: int) -> Tensor:
    """Times (steps + 1,) uniform in lambda = ln(t / (1 - t)), away from both ends; float64."""
    return torch.sigmoid(torch.linspace(-LAMBDA, LAMBDA, steps + 1, dtype=torch.float64))


def convergence(solver: str, grid: str) -> Convergence:
    """Measure one solver on a grid, ``official`` (shift 6; dpm on its own) or ``lambda``."""
    grids: dict[str, Callable[[int], Tensor]] = {
        "official": lambda n: time_grid(n, grid="dpm" if solver == "dpm" else "official").double(),
        "lambda": lambda_grid,
    }
    x = torch.linspace(-2, 2, 33, dtype=torch.float64)
    errors = []
    for steps in STEPS:
        times = grids[grid](steps)
        found = SOLVERS[solver](velocity, x, times)
        errors.append(float((found - solution(x, times[0], times[-1])).square().mean().sqrt()))
    return Convergence(solver, grid, STEPS, tuple(errors))


def study() -> list[Convergence]:
    """Measure every solver on both grids."""
    return [convergence(solver, grid) for grid in ("official", "lambda") for solver in SOLVERS]


def markdown(results: list[Convergence]) -> str:
    """Return the table of the docs. On the official grid no order is claimed for dpm: it wanders there."""
    head = ["solver", "grid", *(f"{steps} steps" for steps in STEPS), "order"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * 2 + "--:|" * (len(STEPS) + 1)]
    for result in results:
        claimed = not (result.solver == "dpm" and result.grid == "official")
        cells = [f"{error:.1e}" for error in result.errors] + [f"{result.order:.2f}" if claimed else "—"]
        lines.append("| " + " | ".join([result.solver, result.grid, *cells]) + " |")
    return "\n".join(lines) + "\n"


def plot(results: list[Convergence], path: Path) -> None:
    """Draw error against evaluations, one panel per grid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"official": "official grid, shift 6", "lambda": "uniform in ln(t / (1 - t)), inner times"}
    for axes, (grid, title) in zip(panels, titles.items(), strict=True):
        for result in (result for result in results if result.grid == grid):
            axes.loglog(result.evaluations, result.errors, marker="o", markersize=3, label=result.solver)
        axes.set(title=title, xlabel="evaluations of the velocity")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("error of the final state (RMS)")
    panels[0].legend()
    figure.savefig(path, dpi=110)


def _variance(t: Tensor) -> Tensor:
    return (t * DEVIATION) ** 2 + (1 - t) ** 2


def _below(x: Tensor, t: Tensor) -> Tensor:
    """Mass of the distribution at t below x (…)."""
    away = x[..., None] - t * x.new_tensor(MEANS)  # (…, 2)
    return torch.special.ndtr(away / _variance(t).sqrt()).mean(-1)
