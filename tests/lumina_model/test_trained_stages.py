"""What a trained stage leaves behind, and how the harness opens it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_training import MODEL, STAGE, copy_parts

from lumina_model.adapter import open_lumina
from lumina_model.digests import files_digest
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT
from lumina_model.pipeline import Pipeline
from lumina_model.training import flow
from lumina_model.training.flow import train_stage


def test_a_kill_between_checkpoint_and_state_owes_no_checkpoint(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_stage(training_set, out, dataclasses.replace(STAGE, checkpoints=(2,)))
    assert (out / "stages/low_res-000002/checkpoint.json").is_file()


def test_a_stage_goes_on_from_a_copy_of_itself_and_leaves_it(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    again = dataclasses.replace(STAGE, init_from="low_res-000004", seed=1)
    train_stage(training_set, out, STAGE)
    with pytest.raises(UserError, match=r"cp -r .*stages/low_res .*stages/low_res-000004"):
        train_stage(training_set, out, again)
    kept = shutil.copytree(out / "stages/low_res", out / "stages/low_res-000004")
    before = files_digest(kept)
    with pytest.raises(UserError, match="other checkpoints"):
        train_stage(training_set, out, dataclasses.replace(again, checkpoints=(4,)))
    with pytest.MonkeyPatch.context() as patch:  # a kill after the checkpoint, before the state
        patch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_stage(training_set, out, again)
    train_stage(training_set, out, again)
    record = json.loads((out / "stages/low_res/checkpoint.json").read_text())
    assert record["step"] == 8
    assert files_digest(kept) == before
    assert {"low_res", "low_res-000004"} <= {folder.name for folder in (out / "training").iterdir()}


def test_a_checkpoint_that_is_written_anew_has_no_record_of_the_old_weights(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, STAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "write_transformer", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            flow.write_stage(NextDiT(MODEL), out / "stages/low_res", STAGE, 8)
    assert not (out / "stages/low_res/checkpoint.json").exists()


def test_checkpoint_of_a_run_makes_images_at_its_own_size(
    training_set: Path, trained_parts: Path, tmp_path: Path
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(
        training_set,
        out,
        dataclasses.replace(STAGE, sampling={"steps": 2, "guidance": 1.0, "max_text_tokens": 24}),
    )
    (model,) = open_lumina(str(out / "stages/low_res"), {"solver": "euler"})
    (image,) = model.generate(["a red table"], [0])
    assert image.size == (32, 32)
    assert model.sampling()["steps"] == 2
    assert (model.name, model.stage, model.step) == ("run", "low_res", 4)


def test_sampling_and_text_are_known_before_anything_is_loaded(
    training_set: Path, trained_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, dataclasses.replace(STAGE, sampling={"steps": 2}))
    monkeypatch.setattr(Pipeline, "load", lambda *_: pytest.fail("loaded"))
    (model,) = open_lumina(str(out / "stages/low_res"), {"guidance": "2"})
    told = model.sampling()
    assert (told["steps"], told["guidance"], told["height"], told["shift"]) == (2, 2.0, 32, 6.0)
    assert model.final_text("a red table").endswith("a red table")


def test_a_device_that_is_not_there_is_told_at_once(
    training_set: Path, trained_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, STAGE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="expected device 'cuda:1', found only cpu"):
        open_lumina(str(out / "stages/low_res"), {"device": "cuda:1"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "many"}, "type int for step, found 'many'"),
        ({"schema": 2}, "expected 1 for schema, found 2"),
        ({"sampling": {"stepz": 3}}, "found stepz"),
    ],
)
def test_a_broken_record_names_the_place(
    training_set: Path, trained_parts: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    out = copy_parts(trained_parts, tmp_path / "run")
    train_stage(training_set, out, STAGE)
    file = out / "stages/low_res/checkpoint.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=message) as error:
        open_lumina(str(out / "stages/low_res"), {})[0].sampling()
    assert "checkpoint.json" in str(error.value)
