"""What several metrics share is computed once."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from benchmarks.fidelity import measures
from benchmarks.fidelity.measures import Sets, measured
from benchmarks.fidelity.metrics.frechet import factor_of
from benchmarks.fidelity.metrics.jackknife import Groups, jackknife
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.neighbours import density_coverage, precision_recall
from benchmarks.fidelity.reference import Reference


def sets() -> Sets:
    rng = np.random.default_rng(0)
    rows, real = rng.normal(0.2, 1, (40, 5)), rng.normal(size=(30, 5))
    groups = Groups.by_prompt([f"prompt {place // 2}" for place in range(40)], 4)
    return Sets(rows, Reference("real", Moments.of(real), real, None, ""), groups)


def at(statistic: measures.Callable, real: np.ndarray, place: int, rows: np.ndarray) -> float:
    return statistic(rows, real)[place]


@pytest.mark.parametrize(
    ("pair", "statistic"),
    [(("precision", "recall"), precision_recall), (("density", "coverage"), density_coverage)],
)
def test_neighbours_are_looked_for_once_for_both(
    pair: tuple[str, str], statistic: measures.Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(rows: np.ndarray, real: np.ndarray) -> tuple[float, float]:
        calls.append(len(rows))
        return statistic(rows, real)

    monkeypatch.setattr(measures, statistic.__name__, counted)
    both = sets()
    for place, name in enumerate(pair):
        found = measured(name, both)
        of_one = functools.partial(at, statistic, both.reference.rows, place)
        plain = jackknife(of_one, both.rows, both.groups)
        assert found.value == plain.value
        assert found.groups is not None
        np.testing.assert_array_equal(found.groups.pseudo_values, plain.pseudo_values)
    assert calls == [40, 30, 30, 30, 30]


def test_a_fixed_reference_is_factored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    both = sets()
    seen = []

    def counted(moments: Moments) -> object:
        seen.append(moments)
        return factor_of(moments)

    monkeypatch.setattr("benchmarks.fidelity.metrics.frechet.factor_of", counted)
    measured("fid", both)
    measured("fid_infinity", both)
    assert sum(one is both.reference.moments for one in seen) == 1
