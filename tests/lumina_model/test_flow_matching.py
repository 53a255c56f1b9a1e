"""Flow matching: the loss where the velocity is known, and the law of the times."""

from __future__ import annotations

import pytest
import torch

from lumina_model.config import NextDiTConfig
from lumina_model.training import flow
from lumina_model.training.flow import official_mu, sample_times
from lumina_model.training.loop import LoopSettings


def test_flow_matching_learns_a_velocity_that_is_known() -> None:
    """Data is one point c, so v(x, t) = (c - x) / (1 - t) exactly; a model of that form reaches loss 0."""

    class Exact(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.point = torch.nn.Parameter(torch.zeros(16, 4, 4))

        def forward(self, x: torch.Tensor, t: torch.Tensor, *_: object) -> torch.Tensor:
            return (self.point - x) / (1 - t[:, None, None, None])

    model = Exact()
    model.point.data.fill_(0.7)
    clean = torch.full((8, 16, 4, 4), 0.7)
    none = torch.zeros(8, 1, 1)
    generator = torch.Generator().manual_seed(0)
    assert flow.flow_loss(model, clean, none, none, generator, 1.0).item() < 1e-6
    model.point.data.fill_(0.5)
    assert flow.flow_loss(model, clean, none, none, generator, 1.0).item() > 1e-2


@pytest.mark.parametrize(("tokens", "mean", "median"), [(4096, 0.277, 0.240)])
def test_times_follow_the_official_law(tokens: int, mean: float, median: float) -> None:
    """Mean and median of t at 1024 px as the official transport.py gives them."""
    t = sample_times(200_000, official_mu(tokens), torch.Generator().manual_seed(0))
    assert t.mean().item() == pytest.approx(mean, abs=2e-3)
    assert t.median().item() == pytest.approx(median, abs=2e-3)


@pytest.mark.parametrize(("time_mu", "median"), [(None, 0.240), (0.0, 0.5)])
def test_the_auxiliary_loss_has_the_law_of_times_of_the_whole_latent(
    time_mu: float | None, median: float
) -> None:
    seen: dict[int, torch.Tensor] = {}

    class Watched(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, *_: object) -> torch.Tensor:
            seen[x.shape[-1]] = t
            return x

    settings = flow.StageSettings(
        stage="high_res", model=NextDiTConfig(), loop=LoopSettings(steps=1, lr=1.0), auxiliary_weight=1.0,
        time_mu=time_mu,
    )  # fmt: skip
    clean, none = torch.zeros(2000, 1, 128, 128), torch.zeros(2000, 1, 1)  # latents of 1024 px
    flow.stage_loss(Watched(), clean, none, none, torch.Generator().manual_seed(0), settings)
    assert sorted(seen) == [32, 128]
    for t in seen.values():
        assert t.median().item() == pytest.approx(median, abs=0.02)
    assert not torch.equal(*seen.values()), "each has times of its own"
