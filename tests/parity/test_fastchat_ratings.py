"""FastChat's own file beside our mode for it, on random arenas.

``LUMINA_FASTCHAT_RATINGS`` names a copy of ``fastchat/serve/monitor/rating_systems.py``.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings import compat, elo, style
from benchmarks.arena.ratings.aggregate import columns
from benchmarks.arena.ratings.bradley_terry import elo_scale, fit

WINNER = {1.0: "model_a", 0.0: "model_b", 0.5: "tie"}
COUNTS = ("header_count", "list_count", "bold_count")

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def fastchat() -> Any:
    path = os.environ.get("LUMINA_FASTCHAT_RATINGS")
    if not path or not Path(path).is_file():
        pytest.skip("set LUMINA_FASTCHAT_RATINGS to FastChat's rating_systems.py")
    spec = importlib.util.spec_from_file_location("fastchat_ratings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(20))
def test_the_same_numbers(fastchat: Any, seed: int) -> None:
    draw = np.random.default_rng(seed)
    models = int(draw.integers(3, 20))
    n = int(draw.integers(60 * models, 200 * models))
    strength = draw.normal(0, 0.8, models)
    a = draw.integers(0, models, n)
    b = (a + draw.integers(1, models, n)) % models
    won = (draw.random(n) < 1 / (1 + np.exp(strength[b] - strength[a]))).astype(float)
    outcome = np.where(draw.random(n) < 0.2, 0.5, won)
    rows = zip(a, b, outcome, strict=True)
    battles = [Battle(f"m{i:02d}", f"m{j:02d}", float(result)) for i, j, result in rows]
    tokens, counts = draw.integers(1, 500, (n, 1, 2)), draw.integers(0, 9, (n, 3, 2))
    sides = np.concatenate([tokens, counts], axis=1)
    names = [("sum_assistant_a_tokens", "sum_assistant_b_tokens"), *((f"{x}_a", f"{x}_b") for x in COUNTS)]
    frame = pd.DataFrame(
        {
            "model_a": [each.model_a for each in battles],
            "model_b": [each.model_b for each in battles],
            "winner": [WINNER[each.outcome] for each in battles],
            "conv_metadata": [
                {name: int(row[i][j]) for i, pair in enumerate(names) for j, name in enumerate(pair)}
                for row in sides
            ],
        }
    )
    votes = columns(battles)
    order = list(votes.models)
    theirs = fastchat.compute_bt(frame)[order].to_numpy()
    assert compat.Fastchat(votes).ratings() == pytest.approx(theirs, abs=1e-9)
    assert elo_scale(fit(votes.wins())) == pytest.approx(theirs, abs=0.05)
    by_name = fastchat.compute_elo(frame)
    assert elo.elo(votes) == pytest.approx(np.array([by_name[name] for name in order]), abs=1e-9)
    np.random.seed(42)
    rounds = fastchat.compute_bootstrap_elo(frame, 20)[order].to_numpy()
    assert elo.bootstrap_elo(votes, 20, seed=42) == pytest.approx(rounds, abs=1e-9)
    controlled = fastchat.compute_style_control(frame)[0][order].to_numpy()
    features = style.standardised(sides.astype(float))
    assert style.fastchat_controlled(votes, features) == pytest.approx(controlled, abs=1e-6)
