"""Efficiency: operations against torch's own count, the best batch on a scripted clock, the table."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from benchmarks.efficiency.chain import settings
from benchmarks.efficiency.flops import (
    branch_flops,
    context_flops,
    evaluations,
    image_flops,
    image_side_flops,
)
from benchmarks.efficiency.growth import Point, fit
from benchmarks.efficiency.measurement import Measurement, measure
from benchmarks.efficiency.tables import front, notes, table
from benchmarks.efficiency.timing import Timing
from lumina_eval.errors import UserError
from lumina_model.config import CONFIGS, NextDiTConfig
from lumina_model.next_dit import NextDiT
from lumina_model.sampling import Sampling

SMALL = NextDiTConfig(
    hidden_size=96, num_layers=3, num_attention_heads=4, num_kv_heads=2, multiple_of=32,
    axes_dim_rope=(8, 8, 8), cap_feat_dim=64,
)  # fmt: skip


@pytest.mark.parametrize("config", [SMALL, CONFIGS["2.6B"]], ids=["small", "2.6B"])
@pytest.mark.parametrize(("text", "rows"), [(7, 4), (40, 16)])
def test_operations_are_those_that_torch_counts(config: NextDiTConfig, text: int, rows: int) -> None:
    with torch.device("meta"):
        model = NextDiT(config)
        feats, mask = torch.empty(1, text, config.cap_feat_dim), torch.ones(1, text, dtype=torch.bool)
        x, t = torch.empty(1, config.in_channels, 2 * rows, 2 * rows), torch.empty(1)
    with FlopCounterMode(display=False) as counter:
        context = model.encode_context(feats, mask)
    assert context_flops(config, text) == pytest.approx(counter.get_total_flops(), rel=1e-9)
    with FlopCounterMode(display=False) as counter:
        model(x, t, context)
    expected = image_side_flops(config, rows * rows) + branch_flops(config, text, rows * rows)
    assert expected == pytest.approx(counter.get_total_flops(), rel=1e-9)


@pytest.mark.parametrize(
    ("sampling", "conditional", "unconditional"),
    [
        (Sampling(), 34, 34),
        (Sampling(truncation=0.25), 34, 23),
        (Sampling(solver="euler", steps=20, guidance=1.0), 20, 0),
        (Sampling(solver="dpm", steps=18), 18, 18),
        (Sampling(solver="rk4", steps=3), 12, 12),
        (Sampling(guidance_every=2), 34, 17),
        (Sampling(guidance_every=3, truncation=0.25), 34, 8),
    ],
)
def test_evaluations_of_a_sampling(sampling: Sampling, conditional: int, unconditional: int) -> None:
    found = evaluations(sampling, 16)
    assert (found.conditional, found.unconditional) == (conditional, unconditional)
    assert found.nfe == conditional + unconditional


def test_operations_of_an_image_are_those_of_its_evaluations() -> None:
    sampling = Sampling(solver="euler", steps=5, truncation=0.25)
    count = evaluations(sampling, 16)
    expected = count.conditional * (image_side_flops(SMALL, 16) + branch_flops(SMALL, 9, 16))
    expected += context_flops(SMALL, 9) + count.unconditional * branch_flops(SMALL, 1, 16)
    assert image_flops(SMALL, sampling, [9, 9], 1, 16) == expected
    assert image_flops(SMALL, sampling, [9, 20], 1, 16) > expected


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=9))
def test_nine_of_ten_lie_below_p90_and_half_below_the_median(seconds: list[float]) -> None:
    timing = Timing(tuple(seconds))
    assert min(seconds) <= timing.median <= timing.p90 * (1 + 1e-12)
    assert timing.p90 <= max(seconds) * (1 + 1e-12)


class Scripted:
    """A model whose batches take the time that it is told, on a clock that only it moves."""

    name, checkpoint, stage, step, sampler_version, device = "scripted", "none", None, None, 1, "cpu"

    def __init__(self, seconds: Mapping[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
        self._seconds, self._now, self.asked = seconds, 0.0, []
        monkeypatch.setattr(time, "perf_counter", lambda: self._now)

    def components(self) -> Mapping[str, str]:
        return {"weights": "0" * 64}

    def sampling(self) -> Mapping[str, Any]:
        return {"steps": 1}

    def final_text(self, prompt: str) -> str:
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.asked.append(len(prompts))
        if len(prompts) not in self._seconds:
            raise torch.OutOfMemoryError("out of memory")
        self._now += self._seconds[len(prompts)]
        return [Image.new("RGB", (8, 8)) for _ in prompts]


@pytest.fixture
def no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.efficiency.measurement.matmul_peak", lambda *_: 1e9)


@pytest.mark.usefixtures("no_peak")
def test_the_best_batch_is_the_last_that_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted({1: 1.0, 2: 1.2, 4: 2.0, 8: 4.5, 16: 1.0}, monkeypatch)
    found = measure(model, ["a"], repeats=3)
    assert (found.best_batch, found.images_per_second) == (4, 2.0)
    assert found.batches == pytest.approx({"1": 1.0, "2": 2 / 1.2, "4": 2.0, "8": 8 / 4.5})
    assert found.seconds == [1.0] * 3
    assert (found.seconds_median, found.seconds_p90) == (1.0, 1.0)
    assert found.work is None
    assert found.peak_fraction is None
    assert model.asked.count(1) == 4  # a warm-up and three repetitions


@pytest.mark.usefixtures("no_peak")
def test_a_batch_that_does_not_fit_ends_the_search_and_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    found = measure(Scripted({1: 1.0, 2: 1.0}, monkeypatch), ["a", "b"], repeats=2, tell=told.append)
    assert found.best_batch == 2
    assert told == ["a batch of 4 does not fit in memory; 2 is the largest"]


@pytest.mark.usefixtures("no_peak")
def test_no_batch_above_the_given_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted({1: 1.0, 2: 1.0, 4: 1.0}, monkeypatch)
    assert measure(model, ["a"], repeats=1, most=2).best_batch == 2
    assert max(model.asked) == 2


def measurement(seconds: float, score: float | None, **more: Any) -> Measurement:
    values = {
        "title": "m", "sampling": {"cache": None}, "environment": {}, "device": "d", "n_prompts": 1,
        "repeats": 1, "seconds": [seconds], "seconds_median": seconds, "seconds_p90": seconds,
        "best_batch": 1, "images_per_second": 1 / seconds, "batches": {"1": 1 / seconds}, "work": None,
        "matmul_peak": 1e9, "peak_fraction": None, "peak_memory_bytes": None, "joules_per_image": None,
        "score": score, "score_of": None if score is None else "geneval tabletop overall",
    }  # fmt: skip
    return Measurement(**(values | more))


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    found = [measurement(1.0, 0.6), measurement(0.5, 0.6), measurement(0.4, 0.5), measurement(0.3, None)]
    assert front(found) == [False, True, True, None]


def test_a_speed_without_a_score_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    found = [measurement(1.0, None), measurement(0.5, None)]
    assert any("not measured" in note for note in notes(found))
    Console(width=110).print(table(found, ["one", "two"], "t"))
    text = capsys.readouterr().out
    assert "2.00x" in text
    assert "J/image" not in text
    assert not any("not measured" in note for note in notes([measurement(1.0, 0.6)]))


def test_the_notes_tell_the_prompts_that_were_timed_from_those_of_the_score() -> None:
    told = notes([measurement(1.0, 0.6, n_prompts=8, repeats=3)])
    assert told[0] == "d; timed on 8 prompts, 3 repetitions after a warm-up."
    assert "score: geneval tabletop overall, over images of its own, not over those that were timed." in told


def test_each_link_of_the_chain_keeps_those_before_it() -> None:
    links = settings()
    assert links[0][0] == "base"
    for (_, before), (_, after) in itertools.pairwise(links):
        assert set(before) <= set(after)
        Sampling().updated(after)
    assert Sampling().updated(links[0][1]) == Sampling(renorm=None)


@given(st.floats(-5, 5), st.floats(0.1, 5))
def test_a_line_is_found_again(start: float, slope: float) -> None:
    line = fit([Point("steps", x, x, start + slope * x) for x in (1, 2, 5, 9)])
    assert (line.start, line.slope, line.r2) == (
        pytest.approx(start, abs=1e-9), pytest.approx(slope), pytest.approx(1)
    )  # fmt: skip


def test_the_command_measures_an_embedded_stage(tmp_path: Path) -> None:
    from benchmarks.efficiency.cli import app

    arguments = "measure --model embedded:low_res --option steps=1 --prompts 2 --repeats 1 --most 2"
    ending = f"--peak-seconds 0.1 --no-score --no-report --no-mlflow --json --device cpu --out {tmp_path}"
    done = CliRunner().invoke(app, [*arguments.split(), *ending.split()])
    assert done.exit_code == 0, done.output
    (result,) = [json.loads(line) for line in done.stdout.splitlines()]
    line = result["measurement"]
    assert (result["benchmark"], result["protocol"]) == ("efficiency", "device")
    assert result["changed"] == ["most=2", "peak_seconds=0.1", "prompts=2", "repeats=1"]
    assert line["work"]["nfe"] == 2
    assert line["sampling"]["steps"] == 1
    assert 0 < line["peak_fraction"] < 1
    kept = (tmp_path / "measurements.jsonl").read_text().splitlines()
    assert [json.loads(one) for one in kept] == [line]


def test_what_was_measured_is_kept_when_a_later_link_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.efficiency.cli import app

    lines = tmp_path / "measurements.jsonl"

    def scripted(model: Any, *_: Any, **__: Any) -> Measurement:
        if lines.exists():
            raise UserError("the second link fails")
        return measurement(1.0, 0.6).model_copy(update={"sampling": dict(model.sampling())})

    monkeypatch.setattr("benchmarks.efficiency.measurement.measure", scripted)
    words = f"chain --no-score --no-report --no-mlflow --prompts 2 --device cpu --out {tmp_path}"
    done = CliRunner().invoke(app, words.split())
    assert "the second link fails" in str(done.exception)
    (kept,) = [json.loads(line) for line in lines.read_text().splitlines()]
    assert (kept["sampling"]["solver"], kept["sampling"]["steps"]) == ("midpoint", 17)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["measure", "--option", "steps"], "KEY=VALUE"),
        (["chain", "--model", "embedded"], "expected one checkpoint, found 3"),
        (["measure", "--model", "embedded:low_res", "--option", "compile=perhaps"], "true or false"),
        (["chain", "--option", "steps=9", "--option", "solver=dpm"], "found steps, solver: its links set"),
        (["measure", "--model", "embedded:low_res", "--option", "guidance=1", "--option", "renorm=1"],
         "guidance is 1"),
        (["measure", "--limit", "3", "--no-score"], "expected --limit 3 with a score"),
        (["chain", "--tracking-uri", "sqlite:///x", "--no-mlflow"], "found --no-mlflow"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_is_timed(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.efficiency.cli import app

    monkeypatch.setattr("benchmarks.efficiency.measurement.measure", lambda *_, **__: pytest.fail("timed"))
    done = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--out", str(tmp_path)])
    assert done.exit_code != 0
    assert words in str(done.exception)
