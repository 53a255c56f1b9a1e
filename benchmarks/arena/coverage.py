"""Do intervals cover the truth as often as they say? Simulated voters with known strengths.

``python -m benchmarks.arena.coverage`` prints a line for each kind of voters: in how many of the simulations
the 95 % interval of a model holds its true rating, pooled over models. Voters who differ have a taste of
their own for each model; the truth is then the rating that infinitely many such voters would give, computed
by quadrature.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import expit

from benchmarks.arena.choice import gains, ranked_pairs, strengths
from benchmarks.arena.ratings.aggregate import Floats, Indices, Votes
from benchmarks.arena.ratings.bradley_terry import fit, fit_many
from benchmarks.arena.ratings.graph import groups
from benchmarks.arena.ratings.intervals import Cluster, covariance, quantile

MODELS: Final = 6
#: True strengths in natural logarithms: 2 apart, 350 points, from best to worst.
STRENGTHS: Final = np.linspace(1.0, -1.0, MODELS)
#: Voters at once: pairs that active choice hands out before it looks at the votes again.
AT_ONCE: Final = 3
#: Nodes of the Gauss-Hermite quadrature of the truth.
NODES: Final = 60


@dataclasses.dataclass(frozen=True)
class Setting:
    """Voters who differ by ``taste``, prompts on which models differ by ``theme`` (standard deviations).

    ``active`` asks, after a start of each pair twice, the pair that narrows intervals most.
    """

    name: str
    voters: int
    votes_each: int
    taste: float = 0.0
    prompts: int = 0
    theme: float = 0.0
    ties: float = 0.0
    by: tuple[Cluster, ...] = ()
    active: bool = False


SETTINGS: Final = (
    Setting("voters alike, votes by themselves", 600, 1),
    Setting("voters alike, a quarter ties", 600, 1, ties=0.25),
    Setting("voters differ, by voter", 60, 20, taste=0.7, by=("voter",)),
    Setting("voters differ, few, by voter", 20, 50, taste=0.7, by=("voter",)),
    Setting("voters differ, votes by themselves (wrong)", 60, 20, taste=0.7),
    Setting(
        "voters and prompts differ, by both", 60, 20, taste=0.5, prompts=60, theme=0.5, by=("voter", "prompt")
    ),
    Setting("voters alike, active choice of pairs", 300, 1, active=True),
    Setting("voters differ, active choice, by voter", 30, 20, taste=0.5, by=("voter",), active=True),
)


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The share of intervals that hold the truth, its standard error, and how many simulations had none."""

    share: float
    error: float
    unrated: int


def true_strengths(setting: Setting) -> Floats:
    """Return the (m,) strengths that a fit to infinitely many votes of the setting has."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    spread = np.sqrt(2.0 * (setting.taste**2 + setting.theme**2))
    gap = STRENGTHS[:, None] - STRENGTHS[None, :]
    wins = expit(gap[..., None] + spread * nodes) @ (weights / weights.sum())
    np.fill_diagonal(wins, 0.0)
    return fit(wins)


def simulate(setting: Setting, draw: np.random.Generator) -> Votes:
    """Draw one arena: every voter sees random pairs, on random prompts if these differ."""
    n = setting.voters * setting.votes_each
    voter = np.repeat(np.arange(setting.voters), setting.votes_each)
    taste = draw.normal(0.0, setting.taste, (setting.voters, MODELS))
    names = tuple(f"model {i}" for i in range(MODELS))
    if setting.active:
        a, b, outcome = _asked_actively(taste, voter, draw)
        return Votes(names, a, b, outcome, np.ones(n), voter, np.arange(n))
    a = draw.integers(0, MODELS, n)
    b = (a + draw.integers(1, MODELS, n)) % MODELS
    gap = STRENGTHS[a] - STRENGTHS[b] + taste[voter, a] - taste[voter, b]
    prompt = np.arange(n)
    if setting.prompts:
        prompt = draw.permutation(np.arange(n) % setting.prompts)
        theme = draw.normal(0.0, setting.theme, (setting.prompts, MODELS))
        gap = gap + theme[prompt, a] - theme[prompt, b]
    outcome = (draw.random(n) < expit(gap)).astype(np.float64)
    if setting.ties:
        outcome = np.where(draw.random(n) < setting.ties, 0.5, outcome)
    return Votes(names, a, b, outcome, np.ones(n), voter, prompt)


def _asked_actively(
    taste: Floats, voter: Indices, draw: np.random.Generator
) -> tuple[Indices, Indices, Floats]:
    """Ask a pair after the other, voters in turn, each where the votes so far say least."""
    wins = np.zeros((MODELS, MODELS))
    n, theta = len(voter), strengths(wins)
    a, b, outcome = np.empty(n, np.intp), np.empty(n, np.intp), np.empty(n)
    order = draw.permutation(voter)
    pairs = [(i, j) for i in range(MODELS) for j in range(i + 1, MODELS)] * 2
    for i, who in enumerate(order):
        if not pairs:
            theta = strengths(wins, theta)
            pairs = ranked_pairs(gains(theta, wins + wins.T), draw)[:AT_ONCE]
        a[i], b[i] = draw.permutation(pairs.pop(0))
        level = STRENGTHS + taste[who]
        outcome[i] = draw.random() < expit(level[a[i]] - level[b[i]])
        wins[(a[i], b[i]) if outcome[i] else (b[i], a[i])] += 1.0
    back = np.argsort(order, kind="stable")
    return a[back], b[back], outcome[back]


def measure(setting: Setting, simulations: int, seed: int) -> Coverage:
    """Simulate and count. Where ties are thrown in, the truth is that of the outcomes with them."""
    truth = true_strengths(setting)
    if setting.ties:
        gap = expit(STRENGTHS[:, None] - STRENGTHS[None, :])
        wins = (1.0 - setting.ties) * gap + setting.ties / 2.0
        np.fill_diagonal(wins, 0.0)
        truth = fit(wins)
    draw = np.random.default_rng(seed)
    arenas = [simulate(setting, draw) for _ in range(simulations)]
    whole = [votes for votes in arenas if not groups(votes.wins()).any()]
    strengths = fit_many(np.stack([votes.wins() for votes in whole]))
    held = np.array(
        [
            np.mean(np.abs(theta - truth) <= quantile(votes, setting.by) * _error(votes, theta, setting.by))
            for votes, theta in zip(whole, strengths, strict=True)
        ]
    )
    return Coverage(float(held.mean()), float(held.std() / np.sqrt(len(held))), simulations - len(whole))


def _error(votes: Votes, theta: Floats, by: Sequence[Cluster]) -> Floats:
    return np.asarray(np.sqrt(np.diag(covariance(votes, theta, by))))


def main() -> None:
    """Print the coverage of every setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--simulations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(
        "| voters | voters x votes | coverage of 95 % intervals | not rated |\n| --- | ---: | ---: | ---: |"
    )
    for setting in SETTINGS:
        found = measure(setting, chosen.simulations, chosen.seed)
        size = f"{setting.voters} x {setting.votes_each}"
        share = f"{100 * found.share:.2f} ± {100 * found.error:.2f} %"
        print(f"| {setting.name} | {size} | {share} | {found.unrated} |", flush=True)


if __name__ == "__main__":
    main()
