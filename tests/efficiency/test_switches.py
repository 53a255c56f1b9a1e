"""The price of a switch: power and prompts against statsmodels' TOST, the whole program on a tiny model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy
from statsmodels.stats.weightstats import DescrStatsW

from benchmarks.efficiency.equivalence import power_of_equivalence, prompts_for_equivalence
from benchmarks.efficiency.price_tables import Priced, table
from benchmarks.efficiency.prices import POWER, Run, prices
from benchmarks.efficiency.switches import main, usual_switches
from benchmarks.efficiency.turns import times_faster
from lumina_eval.records import Coverage, RunResult, Score
from lumina_eval.statistics.means import metric
from lumina_model.sampling import Sampling


def run_of(values: np.ndarray, unit: str = "fraction") -> Run:
    scores = [Score(item_id=f"{i:05d}", task="colors", index=0, value=float(v)) for i, v in enumerate(values)]
    overall = metric("overall", scores, unit, "equal")
    n = len(scores)
    coverage = Coverage(expected=n, generated=n, judged=n)
    result = RunResult(benchmark="b", protocol="p", model="m", metrics=[overall], coverage=coverage)
    return result, scores


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    before = generator.random(60)
    return before, np.clip(before + generator.normal(0, 0.08, 60), 0, 1)


def simulated_power(margin: float, deviation: float, n: int) -> float:
    """How often statsmodels' paired TOST, 2.5 % a side, shows two equals equivalent in 20,000 studies."""
    differences = np.random.default_rng(7).normal(0, deviation, (n, 20_000))
    return float((DescrStatsW(differences).ttost_mean(-margin, margin)[0] <= 0.025).mean())


def test_power_and_prompts_are_those_of_two_one_sided_tests(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = noisy
    (found,) = prices(run_of(before), {"s": run_of(after)}, 0.03)
    assert found.difference == pytest.approx(float((after - before).mean()))
    deviation = float((after - before).std(ddof=1))
    assert found.power == pytest.approx(simulated_power(0.03, deviation, 60), abs=0.01)
    assert found.needed is not None
    assert simulated_power(0.03, deviation, found.needed) == pytest.approx(POWER, abs=0.01)


@pytest.mark.parametrize("df", [1, 2.5, 10, 300, 1e6])
@pytest.mark.parametrize("room", [0.5, 3, 8])
def test_power_of_equivalence_is_that_of_an_adaptive_integral(room: float, df: float) -> None:
    """W runs over its own density; beyond room / q no difference is small enough."""
    quantile = scipy.stats.t.ppf(0.975, df)
    density = scipy.stats.chi(df, scale=1 / math.sqrt(df))
    low, high = density.ppf(1e-15), min(room / quantile, density.isf(1e-15))
    wanted = 0.0
    if high > low:
        wanted, _ = scipy.integrate.quad(
            lambda w: (2 * scipy.stats.norm.cdf(room - quantile * w) - 1) * density.pdf(w),
            low,
            high,
            limit=500,
        )
    assert power_of_equivalence(room, 1, df) == pytest.approx(wanted, abs=1e-6)


def test_one_prompt_less_than_needed_is_too_few() -> None:
    for variance, ratio in ((0.01, 1.0), (0.3, 0.9)):
        needed = prompts_for_equivalence(0.05, variance, POWER, ratio)
        reached = [
            power_of_equivalence(0.05, math.sqrt(variance / n), (n - 1) * ratio) for n in (needed - 1, needed)
        ]
        assert reached[0] < POWER <= reached[1]


def test_a_difference_that_was_shown_and_does_not_matter_is_both() -> None:
    before = np.linspace(0.2, 0.8, 200)
    after = before - 0.004 + 0.002 * np.cos(np.arange(200))
    (found,) = prices(run_of(before), {"s": run_of(after)}, 0.01)
    assert found.verdict == "worse, equivalent"
    (found,) = prices(run_of(before), {"s": run_of(before + before - after)}, 0.01)
    assert found.verdict == "better, equivalent"
    (found,) = prices(run_of(before), {"s": run_of(after)}, 0.003)
    assert found.verdict == "worse"


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
    assert first.out.rstrip().endswith(
        "--model lumina:DIR_OR_ID --device cuda --option steps=2 --switch solver=dpm,steps=2 --limit 1 "
        "--images-per-prompt 1 --repeats 0\n```"
    )
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").rglob("*.png")}
    main(words)
    assert capsys.readouterr().out == first.out
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").rglob("*.png")}


def groups_of(values: np.ndarray) -> Run:
    """Scores of a distance, two for each of 12 groups; every group has ten images."""
    scores = [Score(item_id=f"{i:05d}", task="all", index=0, value=float(v)) for i, v in enumerate(values)]
    overall = metric("fid", scores, "distance", "equal").model_copy(update={"n_images": 10 * len(scores)})
    n = len(scores)
    result = RunResult(
        benchmark="b", protocol="p", model="m", metrics=[overall],
        coverage=Coverage(expected=n, generated=n, judged=n),
    )  # fmt: skip
    return result, scores


def test_a_distance_is_told_with_its_groups_its_direction_and_without_a_margin() -> None:
    from lumina_eval.evaluation import ask

    values = np.linspace(10, 20, 12)
    found = prices(groups_of(values), {"s": groups_of(values + np.tile([0.5, 1.5], 6))}, 0.01)
    question = ask("geneval", "tabletop", suite="standard", limit=4, images_per_prompt=2)
    text = "\n".join(table(Priced(question, found, {"s": None}), "m", "a machine", 16))
    assert "4 per task (24 of 354 prompts)" in text
    assert (
        "\n24 prompts x 2 images under each, paired in 12 groups of prompts; exact: 15.000 (distance: "
        in text
    )
    assert "less is better" in text
    assert "| verdict | power |" in text
    assert "| worse | — | — |" in text
    assert "fid has no range that --margin could be a share of" in text


def test_a_score_between_bounds_has_a_margin_and_the_digits_of_its_unit(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    from lumina_eval.evaluation import ask

    before, after = noisy
    found = prices(run_of(100 * before, "percent"), {"s": run_of(100 * after, "percent")}, 0.03)
    text = "\n".join(table(Priced(ask("geneval", "tabletop"), found, {"s": 1.5}), "m", "a machine", 16))
    assert f"exact: {100 * before.mean():.2f}. a machine, batch 16." in text
    assert f"| s | 1.50x | {100 * after.mean():.2f} |" in text
    assert "| margin 3 | power |" in text
    assert "no range" not in text
    assert "groups" not in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--switch", "steps=20"], "which the exact sampler has already"),
        (["--switch", "stops=20"], "did you mean steps"),
        (["--switch", "cache"], "expected --switch KEY=VALUE"),
        (["--model", "embedded"], "expected one checkpoint of ours, found 3"),
        (["--benchmarks", "genevel"], "did you mean geneval"),
        (["--repeats", "-1"], "expected --repeats of 0 or more"),
        *((["--margin", text], "expected --margin above 0 and below 1") for text in ("0", "nan", "1", "-3")),
    ],
)
def test_mistakes_of_switches_are_told_before_the_first_image(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.efficiency.switches.run", lambda *_: pytest.fail("images were made"))
    with pytest.raises(SystemExit) as end:
        main(["--device", "cpu", "--out", str(tmp_path), *words])
    assert end.value.code == 2
    assert told in capsys.readouterr().err
