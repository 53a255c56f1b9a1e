"""The one training loop: AdamW, gradient clipping, EMA, checkpoints, resume.

A part to be trained supplies a module and ``loss_of(step)``. What a step sees must depend on the step number
alone (and on fixed seeds), so a run that was killed and started again goes through the same steps.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from lumina_model.errors import UserError

Module = TypeVar("Module", bound=nn.Module)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How a part is optimised. ``lr`` decays along a half cosine to ``final_lr_share`` of itself."""

    steps: int
    lr: float
    warmup_steps: int = 100
    final_lr_share: float = 0.02
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip_norm: float = 2.0  # official finetune.py: global L2 norm 2.0
    ema_decay: float = 0.999
    save_every: int = 500
    log_every: int = 25

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step (0-based)."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, self.steps))))
        return self.lr * warm * (self.final_lr_share + (1 - self.final_lr_share) * share)


def ema_rate(decay: float, step: int) -> float:
    """Return the decay of one EMA update; it rises with the step so that the start is forgotten quickly."""
    return min(decay, (1 + step) / (10 + step))


def fit(
    module: Module,
    loss_of: Callable[[int], torch.Tensor],
    settings: LoopSettings,
    folder: Path,
    *,
    on_checkpoint: Callable[[nn.Module, int], None] | None = None,
    checkpoints: tuple[int, ...] = (),
    label: str = "train",
) -> Module:
    """Train ``module`` in place and return its exponential moving average.

    Args:
        module: what to train; parameters with ``requires_grad`` are optimised.
        loss_of: scalar loss of a step (0-based).
        settings: see :class:`LoopSettings`.
        folder: gets ``state.pt`` (for resume) and ``log.jsonl``; an existing state is resumed.
        on_checkpoint: called with the EMA module and the number of finished steps at each step in
            ``checkpoints`` and at the end.
        checkpoints: numbers of finished steps at which to call it.
        label: shown beside the progress bar.

    Raises:
        UserError: the loss is no longer finite, or the saved state does not fit the module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, eps=1e-8
    )
    ema = copy.deepcopy(module).eval().requires_grad_(False)
    start = _restore(folder / "state.pt", module, ema, optimizer)
    module.train()
    losses: list[float] = []
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("loss {task.fields[loss]:.4f}"))  # fmt: skip
    with Progress(*columns, refresh_per_second=1) as progress:
        bar = progress.add_task(label, total=settings.steps, completed=start, loss=float("nan"))
        for step in range(start, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr_at(step)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(step)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
            if not torch.isfinite(norm):
                raise UserError(
                    f"expected finite gradients, found {norm.item()} at step {step} of {label}; "
                    f"fix: lower lr, then run the same command to resume from {folder / 'state.pt'}"
                )
            optimizer.step()
            _update_ema(ema, module, ema_rate(settings.ema_decay, step))
            losses.append(loss.item())
            done = step + 1
            if done % settings.log_every == 0 or done == settings.steps:
                mean = sum(losses) / len(losses)
                record = {
                    "step": done,
                    "loss": round(mean, 6),
                    "lr": settings.lr_at(step),
                    "grad_norm": round(norm.item(), 4),
                    "seconds": round(time.monotonic() - began, 1),
                }
                with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(record) + "\n")
                progress.update(bar, completed=done, loss=mean)
                losses.clear()
            # The checkpoint first: a state that was saved says that no checkpoint before it is owed.
            if on_checkpoint and (done in checkpoints or done == settings.steps):
                on_checkpoint(ema, done)
            if done % settings.save_every == 0 or done == settings.steps:
                _save(folder / "state.pt", module, ema, optimizer, done)
    return ema


@torch.no_grad()
def _update_ema(ema: nn.Module, module: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(ema.parameters()), list(module.parameters()), 1 - decay)
    for kept, buffer in zip(ema.buffers(), module.buffers(), strict=True):
        kept.copy_(buffer)


def _save(path: Path, module: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write the state beside the old one, then put it in its place: a kill never leaves half a file."""
    partial = path.with_suffix(".partial")
    state = {
        "module": module.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    torch.save(state, partial)
    os.replace(partial, path)


def _restore(path: Path, module: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load a saved state if there is one and return the number of finished steps."""
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        module.load_state_dict(state["module"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"expected a training state of this very configuration, found another ({error}), in {path}; "
            f"fix: use another output folder, or delete that file to start over"
        ) from error
    return int(state["step"])
