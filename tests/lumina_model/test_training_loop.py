"""The training loop: progress, a full disk, a loss that is no number, Muon, and the list of examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import LOOP, MODEL

from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT
from lumina_model.training import flow
from lumina_model.training.data import batch_indices, read_examples
from lumina_model.training.loop import LoopSettings, fit


def test_without_a_terminal_progress_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = torch.nn.Linear(1, 1)
    fit(module, lambda step: module.weight.square().sum(), LOOP, tmp_path, label="a part")
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == f"a part: 0 of {LOOP.steps} steps"
    assert lines[-1].startswith(f"a part: {LOOP.steps} of {LOOP.steps} steps, loss ")


def test_muon_takes_the_matrices_of_the_blocks_and_learns_faster(tmp_path: Path) -> None:
    """On a velocity field that needs its matrices: the same steps and seeds, with and without."""

    def last_loss(matrix_lr: float) -> float:
        torch.manual_seed(0)
        model = NextDiT(MODEL)
        x, features = torch.randn(8, 16, 4, 4), torch.randn(8, 6, 32)
        t, mask = torch.rand(8), torch.ones(8, 6, dtype=torch.bool)
        settings = LoopSettings(steps=40, lr=2e-3, matrix_lr=matrix_lr, warmup_steps=1, final_lr_share=1.0)
        losses = []

        def loss_of(step: int) -> torch.Tensor:
            losses.append((model(x, t, features, mask) - x.flip(0)).square().mean())
            return losses[-1]

        fit(model, loss_of, settings, tmp_path / str(matrix_lr), matrices=flow.hidden_matrices(model))
        return losses[-1].item()

    names = {name for name, p in NextDiT(MODEL).named_parameters() if p.ndim == 2}
    model = NextDiT(MODEL)
    chosen = {id(p) for p in flow.hidden_matrices(model)}
    left = {name for name, p in model.named_parameters() if name in names and id(p) not in chosen}
    assert len(chosen) > 10
    assert all("norm1" in name or "embed" in name or "norm_out" in name for name in left), left
    assert last_loss(1e-2) < last_loss(0.0)


def test_a_step_sees_the_same_batch_whenever_it_runs() -> None:
    assert np.array_equal(batch_indices(1, 7, 100, 8), batch_indices(1, 7, 100, 8))
    assert not np.array_equal(batch_indices(1, 7, 100, 8), batch_indices(1, 8, 100, 8))
    assert len(set(batch_indices(1, 7, 100, 8))) == 8


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nmore")

    monkeypatch.setattr(torch, "save", full)
    module = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="fix: make room"):
        fit(module, lambda step: module.weight.square().sum(), LOOP, tmp_path)


def test_a_loss_that_is_not_finite_stops_with_a_message(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="step 0"):
        fit(module, lambda step: module.weight.sum() * float("nan"), LOOP, tmp_path)


@pytest.mark.parametrize("line", ["not json", '{"prompt": "x"}', "[1]"])
def test_a_broken_training_list_names_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"image_path": "a.png", "prompt": "a"}\n' + line + "\n")
    with pytest.raises(UserError, match="line 2"):
        read_examples(tmp_path)
