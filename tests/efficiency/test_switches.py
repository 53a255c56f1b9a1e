"""The price of a switch: power and prompts against statsmodels, the whole program on a tiny model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from benchmarks.efficiency.prices import POWER, Run, prices
from benchmarks.efficiency.switches import main, usual_switches
from benchmarks.efficiency.turns import times_faster
from lumina_eval.records import Coverage, RunResult, Score
from lumina_eval.statistics.means import metric
from lumina_model.sampling import Sampling


def run_of(values: np.ndarray) -> Run:
    scores = [Score(item_id=f"{i:05d}", task="colors", index=0, value=float(v)) for i, v in enumerate(values)]
    overall = metric("overall", scores, "fraction", "equal")
    n = len(scores)
    coverage = Coverage(expected=n, generated=n, judged=n)
    result = RunResult(benchmark="b", protocol="p", model="m", metrics=[overall], coverage=coverage)
    return result, scores


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    before = generator.random(60)
    return before, np.clip(before + generator.normal(0, 0.08, 60), 0, 1)


def test_power_and_prompts_are_those_of_a_paired_t_test(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = noisy
    (found,) = prices(run_of(before), {"s": run_of(after)}, 0.03)
    assert found.difference == pytest.approx(float((after - before).mean()))
    effect = 0.03 / (after - before).std(ddof=1)
    assert found.power == pytest.approx(TTestPower().power(effect, 60, 0.05), abs=1e-6)
    needed = TTestPower().solve_power(effect, alpha=0.05, power=POWER)
    assert found.needed == math.ceil(needed)


def test_a_switch_that_changes_nothing_is_equivalent_and_has_no_power_to_name() -> None:
    values = np.tile([0.0, 1.0], 400)
    (found,) = prices(run_of(values), {"s": run_of(values)}, 0.01)
    assert (found.difference, found.verdict) == (0, "equivalent")
    assert (found.power, found.needed) == (None, None)


def test_a_switch_that_costs_much_is_worse() -> None:
    values = np.tile([0.0, 1.0], 40)
    (found,) = prices(run_of(values), {"s": run_of(values * 0.5)}, 0.01)
    assert found.verdict == "worse"
    assert found.ci is not None
    assert found.ci[1] < 0


def test_the_solver_gets_half_of_the_evaluations() -> None:
    for sampling, steps in ((Sampling(), 17), (Sampling(solver="euler", steps=20), 10)):
        solver = next(one for one in usual_switches(sampling) if "solver" in one.options)
        changed = sampling.updated(solver.options)
        assert changed.steps == steps
        assert changed.evaluations() * 2 == sampling.evaluations()


def test_the_ratio_is_the_median_over_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        device = "cpu"

        def __init__(self, seconds: list[float]) -> None:
            self.seconds = iter(seconds)

        def generate(self, prompts: list[str], seeds: list[int]) -> None:
            assert (len(prompts), seeds) == (3, [0, 1, 2])

    slow, fast = Model([9, 2, 8, 3]), Model([1, 1, 1, 1])
    order = iter([slow, fast] * 4)
    monkeypatch.setattr(
        "benchmarks.efficiency.turns.seconds_of", lambda call, device: (call(), next(next(order).seconds))[1]
    )
    assert times_faster(slow, fast, ["a", "b"], 3, 3) == 3  # the first round warms up


def test_the_program_prices_switches_and_goes_on_where_it_ended(
    pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--model", f"lumina:{pipeline_folder}", "--device", "cpu", "--option", "steps=2", "--limit", "1",
        "--images-per-prompt", "1", "--repeats", "0", "--switch",
        "solver=dpm,steps=2", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    main(words)
    first = capsys.readouterr()
    assert "| solver=dpm,steps=2 | — | 0.000 | +0.000 |" in first.out
    assert "None of this transfers to 2.6B" in first.out
    assert first.out.rstrip().endswith("--option steps=2\n```")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").rglob("*.png")}
    main(words)
    assert capsys.readouterr().out == first.out
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").rglob("*.png")}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--switch", "steps=20"], "which the exact sampler has already"),
        (["--switch", "stops=20"], "did you mean steps"),
        (["--switch", "cache"], "expected --switch KEY=VALUE"),
        (["--model", "embedded"], "expected one checkpoint of ours, found 3"),
        (["--benchmarks", "genevel"], "did you mean geneval"),
    ],
)
def test_mistakes_of_switches_are_told(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--device", "cpu", "--out", str(tmp_path), *words])
    assert end.value.code == 2
    assert told in capsys.readouterr().err
