"""Guidance: the formulas by hand, and how many branches are computed when."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.guidance import (
    GuidanceCache,
    classifier_free,
    guided_velocity,
    renormalise,
    renormalise_rows,
    truncation_of_ratio,
)
from lumina_model.solvers import SOLVERS
from lumina_model.time_grid import time_grid


def test_classifier_free_by_hand() -> None:
    v_cond, v_uncond = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0])
    assert classifier_free(v_cond, v_uncond, 4.0).tolist() == [5.0, -3.0]
    assert torch.equal(classifier_free(v_cond, v_uncond, 1.0), v_cond)
    assert torch.equal(classifier_free(v_cond, v_uncond, 0.0), v_uncond)


@given(ratio=st.floats(0.1, 3), seed=st.integers(0, 1000))
def test_renormalise_never_lengthens_and_keeps_the_direction(ratio: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    v, v_cond = torch.randn(2, 3, 2, 4, 4, generator=generator)
    v = v * torch.tensor([0.2, 1.0, 5.0])[:, None, None, None]
    out = renormalise(v, v_cond, ratio)
    before, after = v.flatten(1).norm(dim=1), out.flatten(1).norm(dim=1)
    limit = ratio * v_cond.flatten(1).norm(dim=1)
    torch.testing.assert_close(after, torch.minimum(before, limit))
    torch.testing.assert_close(torch.cosine_similarity(out.flatten(1), v.flatten(1)), torch.ones(3))


def test_renormalise_of_zero_is_zero() -> None:
    assert torch.equal(renormalise(torch.zeros(1, 2), torch.zeros(1, 2), 1.0), torch.zeros(1, 2))


def test_rows_get_the_norms_of_the_conditional_rows() -> None:
    v, v_cond = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    v[0, 0, 0] = 0
    out = renormalise_rows(v, v_cond)
    norms = v_cond.norm(dim=-1)
    norms[0, 0, 0] = 0  # nothing to scale there, and no NaN
    torch.testing.assert_close(out.norm(dim=-1), norms)
    assert not torch.allclose(out, renormalise(v, v_cond, 1.0))
    zero, one = torch.zeros(1, 1, 1, 64), torch.ones(1, 1, 1, 64)
    assert torch.equal(renormalise_rows(zero, one), zero)
    tiny = torch.full((1, 1, 1, 64), 1e-15)
    torch.testing.assert_close(renormalise_rows(tiny, one), one, atol=1e-3, rtol=1e-3)


@given(steps=st.integers(1, 60), ratio=st.floats(0, 1))
def test_a_ratio_guides_the_steps_that_diffusers_guides(steps: int, ratio: float) -> None:
    times = time_grid(steps, 6.0)
    stop = truncation_of_ratio(times, ratio)
    guided = [float(t) < stop for t in times[:-1]]
    assert guided == [not (i + 1) / steps > ratio for i in range(steps)]  # pipeline_lumina2.py


@pytest.mark.parametrize(
    ("solver", "steps", "guided"), [("euler", 40, 10), ("midpoint", 20, 10), ("heun", 20, 9)]
)
def test_evaluations_that_a_ratio_of_a_quarter_guides(solver: str, steps: int, guided: int) -> None:
    """Heun looks at the end of its last guided step, where the guidance has ended."""
    times = time_grid(steps, 6.0)
    stop = truncation_of_ratio(times, 0.25)
    seen: list[bool] = []
    SOLVERS[solver](lambda x, t: seen.append(float(t) < stop) or x, torch.ones(1), times)
    assert seen.count(True) == guided


def test_the_official_truncation_guides_23_of_34_evaluations() -> None:
    """scripts/sample.sh with the demo's truncation: midpoint, 18 points, shift 6, t < 0.25."""
    seen: list[int] = []

    def conditional(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return torch.zeros_like(x)

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(2)
        return torch.zeros_like(x), torch.zeros_like(x)

    velocity = guided_velocity(conditional, both, 4.0, truncation=0.25)
    SOLVERS["midpoint"](velocity, torch.zeros(1, 16, 4, 4), time_grid(17))
    assert (seen.count(2), len(seen)) == (23, 34)


@pytest.mark.parametrize(
    ("scale", "truncation", "t", "guided"),
    [(4.0, None, 0.9, True), (4.0, 0.25, 0.2, True), (4.0, 0.25, 0.25, False), (1.0, None, 0.2, False),
     (4.0, None, 0.05, False)],
)  # fmt: skip
def test_where_there_is_no_guidance_the_conditional_branch_is_followed(
    scale: float, truncation: float | None, t: float, guided: bool
) -> None:
    x = torch.randn(2, 16, 4, 4)
    v_cond, v_uncond = torch.randn_like(x), torch.randn_like(x)
    velocity = guided_velocity(
        lambda x, t: v_cond, lambda x, t: (v_cond, v_uncond), scale, truncation=truncation, start=0.1
    )
    expected = v_uncond + scale * (v_cond - v_uncond) if guided else v_cond
    torch.testing.assert_close(velocity(x, torch.tensor(t)), expected)


@given(every=st.integers(1, 4), steps=st.integers(1, 12))
def test_a_guidance_cache_computes_the_other_branch_every_so_often(every: int, steps: int) -> None:
    calls: list[str] = []

    def conditional(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append("conditional")
        return torch.cos(x + t)

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append("both")
        return torch.cos(x + t), torch.sin(x - t)

    velocity = guided_velocity(conditional, both, 3.0, every=every)
    x, kept = torch.tensor([0.3, -1.0]), torch.empty(0)
    for step in range(steps):
        t = torch.tensor(step / 12)
        v_cond, v_uncond = torch.cos(x + t), torch.sin(x - t)
        if step % every == 0:
            kept = v_cond - v_uncond
        torch.testing.assert_close(velocity(x, t), v_cond + 2.0 * kept)
    assert calls == ["conditional" if step % every else "both" for step in range(steps)]


def test_a_guidance_cache_is_exact_where_the_branches_keep_their_distance() -> None:
    """A difference that does not move is no approximation, and every evaluation is left alone at 1."""

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * t, x * t - 0.5

    cache = GuidanceCache(lambda x, t: both(x, t)[0], both, 3)
    for step in range(5):
        x, t = torch.randn(2, 3, dtype=torch.float64).float(), torch.tensor(step / 5)
        for found, expected in zip(cache(x, t), both(x, t), strict=True):
            torch.testing.assert_close(found, expected)
