"""``watch`` scores each checkpoint once it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli

from lumina_eval.errors import UserError
from lumina_eval.models import open_models
from lumina_eval.models.function import FunctionModel
from lumina_eval.plugins import injected
from lumina_eval.watch import new_checkpoints


def write_checkpoint(folder: Path, step: int, whole: bool = True) -> None:
    (folder / "transformer").mkdir(parents=True, exist_ok=True)
    if whole:
        (folder / "checkpoint.json").write_text(json.dumps({"schema": 1, "stage": "low_res", "step": step}))


def test_a_checkpoint_comes_once_when_it_is_whole_and_again_when_written_anew(tmp_path: Path) -> None:
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds
        if time[0] == 1:
            write_checkpoint(tmp_path / "step-200", 200)
        if time[0] == 2:
            (tmp_path / "step-100" / "checkpoint.json").write_text('{"step": 150}')

    write_checkpoint(tmp_path / "step-100", 100)
    write_checkpoint(tmp_path / "step-200", 200, whole=False)
    (tmp_path / "checkpoint.json").write_text("{}")  # no transformer beside it: not a checkpoint
    found = new_checkpoints(tmp_path, False, 1.0, 5.0, sleep=sleep, clock=lambda: time[0])
    assert [checkpoint.step for checkpoint in found] == [100, 200, 150]
    assert time[0] == 7  # nothing new after 2


def opener(model_file: Path) -> Callable[[str, Mapping[str, str]], list[Any]]:
    """Return what opens a checkpoint of :func:`write_checkpoint`; that of step 2 is broken."""

    def open_checkpoint(spec: str, options: Mapping[str, str]) -> list[Any]:
        record = json.loads((Path(spec) / "checkpoint.json").read_text())
        if record["step"] == 2:
            raise UserError("shard 1 is truncated")
        (model,) = open_models(f"{model_file}:reddish", options)
        assert isinstance(model, FunctionModel)
        model.name, model.stage, model.step = "mine", record["stage"], record["step"]
        return [model]

    return open_checkpoint


def watch_words(tmp_path: Path) -> list[Any]:
    return [
        "watch", tmp_path / "training", "--benchmark", "fake", "--protocol", "plain", "--scheme", "mine",
        "--once", "--out", tmp_path / "out", "--no-mlflow", "--no-report", "--json",
    ]  # fmt: skip


def test_watch_scores_checkpoints_and_passes_broken_ones_over(
    call: Cli, tmp_path: Path, model_file: Path
) -> None:
    for step in (1, 2, 3):
        write_checkpoint(tmp_path / "training" / f"{step}", step)
    with injected("models", mine=opener(model_file)):
        done = call(*watch_words(tmp_path))
    assert [record["step"] for record in done.records] == [1, 3]
    assert "shard 1 is truncated" in done.stderr
    assert done.code == 2


def test_a_gate_over_no_checkpoint_is_not_passed(call: Cli, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    assert call(*watch_words(tmp_path)).code == 0
    assert call(*watch_words(tmp_path), "--min-overall", "0.5").code == 3


@pytest.mark.parametrize("option", ["questions", "parses", "reference"])
def test_watch_hands_the_files_of_a_benchmark_on(call: Cli, tmp_path: Path, option: str) -> None:
    (tmp_path / "training").mkdir()
    done = call(*watch_words(tmp_path), f"--{option}", "file")
    assert done.code == 2
    assert f"expected no --{option} for benchmark fake" in done.stderr


def test_watch_gives_each_checkpoint_the_rewritten_texts(call: Cli, tmp_path: Path, model_file: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    prompts = [f"prompt {number}" for number in range(10)]
    lines = [json.dumps({"prompt": prompt, "rewritten": f"{prompt}, in oil"}) for prompt in prompts]
    texts.write_text("\n".join(lines) + "\n")
    words = [*watch_words(tmp_path), "--rewrite", texts]
    (tmp_path / "training").mkdir()
    early = call(*words[:-1], tmp_path / "nowhere.jsonl")
    assert early.code == 2
    assert "nowhere.jsonl" in early.stderr, "told before there is a checkpoint"
    for step in (1, 3):
        write_checkpoint(tmp_path / "training" / f"{step}", step)
    with injected("models", mine=opener(model_file)):
        done = call(*words)
    assert done.code == 0, done.stderr
    assert [record["step"] for record in done.records] == [1, 3]
    for record in done.records:
        assert record["rewriting"]["source"] == "file"
        kept = Path(record["run_dir"], "rewritten.jsonl").read_text().splitlines()
        assert kept
        assert set(kept) <= set(lines)


def test_a_record_that_stays_broken_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    (folder / "transformer").mkdir(parents=True)
    (folder / "checkpoint.json").write_text("{")
    time, told = [0.0], list[str]()

    def sleep(seconds: float) -> None:
        time[0] += seconds

    assert list(new_checkpoints(tmp_path, True, 1.0, None, told.append)) == []
    assert len(told) == 1
    assert "checkpoint.json" in told.pop()
    assert list(new_checkpoints(tmp_path, False, 1.0, 5.0, told.append, sleep, lambda: time[0])) == []
    assert len(told) == 1


def test_a_record_that_is_mended_is_not_told(tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    (folder / "transformer").mkdir(parents=True)
    (folder / "checkpoint.json").write_text("{")
    time, told = [0.0], list[str]()

    def sleep(seconds: float) -> None:
        time[0] += seconds
        if time[0] == seconds:
            (folder / "checkpoint.json").write_text('{"step": 3}')

    found = new_checkpoints(tmp_path, False, 1.0, 5.0, told.append, sleep, lambda: time[0])
    assert [one.step for one in found] == [3]
    assert told == []
