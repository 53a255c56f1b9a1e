"""The known flow is a solution of its own equation, and each solver has the order that it should."""

from pathlib import Path

import pytest
import torch

from lumina_model.solver_study import convergence, markdown, plot, solution, study, velocity


def test_the_solution_solves_the_equation() -> None:
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    start, end, step = (torch.tensor(t, dtype=torch.float64) for t in (0.1, 0.6, 1e-4))
    there = solution(x, start, end)
    slope = (solution(x, start, end + step) - solution(x, start, end - step)) / (2 * step)
    torch.testing.assert_close(slope, velocity(there, end), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(solution(x, start, start), x, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("solver", "grid", "order"),
    [("euler", "official", 1), ("midpoint", "official", 2), ("heun", "official", 2), ("rk4", "official", 4),
     ("euler", "lambda", 1), ("midpoint", "lambda", 2), ("heun", "lambda", 2), ("rk4", "lambda", 4),
     ("dpm", "lambda", 2)],
)  # fmt: skip
def test_measured_orders(solver: str, grid: str, order: int) -> None:
    assert convergence(solver, grid).order == pytest.approx(order, abs=0.15)


def test_table_and_plot(tmp_path: Path) -> None:
    results = study()
    table = markdown(results)
    assert table.count("\n") == 2 + len(results) == 12
    assert "| dpm | official |" in table
    plot(results, tmp_path / "solvers.png")
    assert (tmp_path / "solvers.png").read_bytes()[:4] == b"\x89PNG"
