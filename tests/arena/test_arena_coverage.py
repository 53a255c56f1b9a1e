"""Simulated voters with known strengths: do intervals hold the truth as often as they say?"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.arena import coverage
from benchmarks.arena.ratings.bradley_terry import fit


@pytest.mark.parametrize("setting", coverage.SETTINGS, ids=lambda setting: setting.name)
def test_intervals_cover_the_truth_as_often_as_they_say(setting: coverage.Setting) -> None:
    """A few simulations: 95 % give or take four standard errors; and what goes wrong does."""
    found = coverage.measure(setting, simulations=30 if setting.active else 120, seed=1)
    if "wrong" in setting.name:
        assert found.share < 0.92
    else:
        assert found.share == pytest.approx(0.95, abs=4 * found.error)


def test_the_truth_is_what_very_many_votes_give() -> None:
    """Voters of a taste of their own flatten the strengths; a large arena finds the same."""
    setting = coverage.Setting("many", 20_000, 20, taste=0.7)
    votes = coverage.simulate(setting, np.random.default_rng(0))
    truth = coverage.true_strengths(setting)
    assert fit(votes.wins()) == pytest.approx(truth, abs=0.02)
    assert truth[0] < 0.9 * coverage.STRENGTHS[0]
