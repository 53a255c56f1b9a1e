"""``--min-overall``: what passes, fails, cannot be told, and what is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark, the_run, with_model
from PIL import Image


@pytest.mark.parametrize(
    ("function", "words", "code"),
    [
        ("reddish", ["--min-overall", "0.0"], 0),
        ("reddish", ["--min-overall", "0.999"], 1),
        ("reddish", ["--min-overall", "0.65", "--strict-gate"], 3),
        ("always", ["--min-overall", "1.0"], 0),
    ],
)
def test_gates(
    call: Cli, run_words: list[Any], model_file: Path, function: str, words: list[str], code: int
) -> None:
    assert call(*with_model(run_words, f"{model_file}:{function}"), *words).code == code


def test_a_gate_over_an_incomplete_run_is_said_not_to_be_looked_at(
    call: Cli, run_words: list[Any], model_file: Path
) -> None:
    done = call(*with_model(run_words, f"{model_file}:gappy"), "--min-overall", "0.0")
    assert done.code == 4
    assert "gate not looked at: the coverage is incomplete" in done.stderr


def test_a_gate_looks_at_the_last_checkpoint(call: Cli, run_words: list[Any], model_file: Path) -> None:
    good, bad = f"{model_file}:always", f"{model_file}:reddish"
    assert (
        call(*run_words[:4], *run_words[6:], "--model", bad, "--model", good, "--min-overall", 0.95).code == 0
    )
    assert (
        call(*run_words[:4], *run_words[6:], "--model", good, "--model", bad, "--min-overall", 0.95).code == 1
    )


def test_a_strict_gate_without_a_gate_is_refused(call: Cli, run_words: list[Any]) -> None:
    done = call(*run_words, "--strict-gate")
    assert done.code == 2
    assert "expected --min-overall beside --strict-gate" in " ".join(done.stderr.split())


def test_a_gate_where_there_is_no_overall_is_told_before_any_image(
    call: Cli, run_words: list[Any], tmp_path: Path, world: FakeBenchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.aggregate

    def by_kind(*given: Any) -> Any:
        found = whole(*given)
        found.metrics[0] = found.metrics[0].model_copy(update={"name": "color"})
        return found

    monkeypatch.setattr(world, "aggregate", by_kind)
    done = call(*run_words, "--min-overall", 0.5)
    assert done.code == 2
    assert "found one of color; fix: leave it out, and gate on the difference" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))


def test_judge_refuses_a_gate_where_there_is_no_overall_before_it_judges(
    call: Cli, run_words: list[Any], tmp_path: Path, world: FakeBenchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(*run_words)
    whole = world.aggregate

    def by_kind(*given: Any) -> Any:
        found = whole(*given)
        found.metrics[0] = found.metrics[0].model_copy(update={"name": "color"})
        return found

    monkeypatch.setattr(world, "aggregate", by_kind)
    folder = tmp_path / "made"
    folder.mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "00000_0.png")
    verdicts = the_run(tmp_path / "out") / "verdicts.jsonl"
    judged, out = world.the_judge.calls, tmp_path / "again"
    for given in (["--images", folder], ["--verdicts", verdicts]):
        done = call("judge", "fake", "--protocol", "plain", *given, "--out", out, "--min-overall", 0.5)
        assert done.code == 2
        assert "found one of color; fix: leave it out, and gate on the difference" in done.stderr
    assert world.the_judge.calls == judged
    assert not out.exists()


def test_a_gate_out_of_range_is_told_before_saved_verdicts_are_added_up(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    run_dir = call(*run_words, "--json").records[0]["run_dir"]
    words = ["judge", "fake", "--protocol", "plain", "--verdicts", f"{run_dir}/verdicts.jsonl"]
    done = call(*words, "--out", tmp_path / "again", "--min-overall", 66)
    assert done.code == 2
    assert "expected --min-overall from 0 to 1" in done.stderr
    assert not (tmp_path / "again").exists()
