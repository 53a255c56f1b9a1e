"""The trainer of stages through its public functions: resumed, in order, on several processes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tiny_training import LOOP, MODEL, STAGE, copy_parts, weights

from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT
from lumina_model.training import flow
from lumina_model.training.flow import train_stage


@pytest.mark.parametrize("matrix_lr", [0.0, 1e-2])
def test_killed_and_resumed_training_ends_with_the_same_weights(
    training_set: Path, trained_parts: Path, tmp_path: Path, matrix_lr: float
) -> None:
    stage = dataclasses.replace(STAGE, loop=dataclasses.replace(LOOP, matrix_lr=matrix_lr))
    whole, halves = (
        copy_parts(trained_parts, tmp_path / "whole"),
        copy_parts(trained_parts, tmp_path / "halves"),
    )
    train_stage(training_set, whole, stage)
    original = flow.flow_loss
    calls = 0

    def killed(*args: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:  # after the state of step 2 was saved and step 3 was lost
            raise KeyboardInterrupt
        return original(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "flow_loss", killed)
        with pytest.raises(KeyboardInterrupt):
            train_stage(training_set, halves, stage)
    assert not (halves / "stages").exists()
    train_stage(training_set, halves, stage)
    a, b = weights(whole / "stages/low_res"), weights(halves / "stages/low_res")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_state_is_not_resumed_under_another_recipe(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, STAGE)
    with pytest.raises(UserError, match="batch was 4 and is 2"):
        train_stage(training_set, out, dataclasses.replace(STAGE, batch=2))
    with pytest.raises(UserError, match=r"lr was 0\.001 and is 0\.1"):
        train_stage(training_set, out, dataclasses.replace(STAGE, loop=dataclasses.replace(LOOP, lr=0.1)))
    train_stage(training_set, out, STAGE)


@pytest.mark.parametrize(
    ("part", "command"),
    [("tokenizer", "train tokenizer"), ("text_encoder", "train text-encoder"), ("vae", "train autoencoder")],
)
def test_a_part_that_is_not_trained_yet_is_named_with_its_command(
    training_set: Path, trained_parts: Path, tmp_path: Path, part: str, command: str
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    (out / part).unlink()
    with pytest.raises(UserError, match=rf"expected .*{part}, .*lumina-model {command} "):
        train_stage(training_set, out, STAGE)


def test_a_stage_that_is_not_trained_yet_is_named_with_its_command(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    with pytest.raises(UserError, match="fix: lumina-model train stage low_res "):
        train_stage(training_set, out, dataclasses.replace(STAGE, stage="high_res", init_from="low_res"))


def test_processes_must_share_the_batch_evenly(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="3 processes"):
        train_stage(training_set, copy_parts(trained_parts, tmp_path / "run"), STAGE, processes=3)


def test_next_stage_starts_from_the_last_and_counts_steps_on(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, STAGE)
    second = dataclasses.replace(STAGE, stage="high_res", init_from="low_res", size=64, auxiliary_weight=1.0)
    still = dataclasses.replace(second, loop=dataclasses.replace(LOOP, lr=0.0))
    train_stage(training_set, out, still)
    first, after = weights(out / "stages/low_res"), weights(out / "stages/high_res")
    assert all(torch.equal(first[name], after[name]) for name in first)
    record = json.loads((out / "stages/high_res/checkpoint.json").read_text())
    assert (record["stage"], record["step"], record["size"]) == ("high_res", 8, 64)
    other = dataclasses.replace(second, model=dataclasses.replace(MODEL, num_layers=2), stage="other")
    with pytest.raises(UserError, match="architecture"):
        train_stage(training_set, out, other)


@pytest.mark.usefixtures("forked")
def test_stages_on_two_processes_end_where_one_does(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    one, two = copy_parts(trained_parts, tmp_path / "one"), copy_parts(trained_parts, tmp_path / "two")
    stage = dataclasses.replace(
        STAGE, size=64, auxiliary_weight=1.0, loop=dataclasses.replace(LOOP, matrix_lr=1e-3)
    )
    train_stage(training_set, one, stage)
    train_stage(training_set, two, stage, processes=2)
    torch.manual_seed(STAGE.seed)
    start, ends = NextDiT(MODEL).state_dict(), [weights(out / "stages/low_res") for out in (one, two)]

    def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        return sum((a[name].float() - b[name].float()).square().sum().item() for name in a) ** 0.5

    assert apart(*ends) < 0.2 * apart(ends[0], start)  # bfloat16 and Adam's first steps blow up last bits
    losses = [
        [json.loads(line)["loss"] for line in (out / "training/low_res/log.jsonl").read_text().splitlines()]
        for out in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
