"""What is told of a broken checkpoint: one message that names the place, exit code 2, no traceback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lumina_eval import cli
from lumina_model import embedded

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
TENSOR = "layers.3.attn.to_q.weight"
Checkpoint = Path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A training run's stage, with the shared parts two levels up."""
    run = tmp_path / "run"
    for name in embedded.SHARED:
        shutil.copytree(embedded.FOLDER / name, run / name)
    return Path(shutil.copytree(embedded.FOLDER / "stages/low_res", run / "stages/low_res"))


def truncate(folder: Checkpoint) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:100_000])


def remove(folder: Checkpoint) -> None:
    (folder / WEIGHTS).unlink()


def poison(folder: Checkpoint) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors[TENSOR][0, 0] = torch.nan
    save_file(tensors, folder / WEIGHTS)


def reshape(folder: Checkpoint) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors[TENSOR] = tensors[TENSOR][:-1].clone()
    save_file(tensors, folder / WEIGHTS)


def break_record(folder: Checkpoint) -> None:
    (folder / "checkpoint.json").write_text(json.dumps({"schema": 1, "step": 3}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (truncate, "diffusion_pytorch_model.safetensors"),
        (remove, "transformer"),
        (poison, TENSOR),
        (reshape, TENSOR),
        (break_record, "checkpoint.json"),
    ],
)
def test_a_broken_checkpoint(
    damage: Callable[[Checkpoint], None],
    told: str,
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(checkpoint)
    words = ["run", "geneval", "--protocol", "tabletop", "--limit", "1", "--images-per-prompt", "1", "--json"]
    words += ["--model", f"lumina:{checkpoint}", "--out", str(tmp_path / "out"), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["lumina-eval", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert told in err
    assert "fix:" in err
    assert "Traceback" not in err
    assert out == ""
