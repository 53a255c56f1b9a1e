"""The one training loop: AdamW or Muon, gradient clipping, EMA, checkpoints, resume.

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from lumina_model.errors import UserError
from lumina_model.training.processes import average_gradients, rank
from lumina_model.training.progress import shown

Module = TypeVar("Module", bound=nn.Module)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How a part is optimised.

    Attributes:
        lr: of AdamW; like ``matrix_lr`` it decays along a half cosine to ``final_lr_share`` of itself.
        matrix_lr: of Muon (torch.optim.Muon, updates of the size of AdamW's) for the matrices that the part
            names; 0 leaves them to AdamW.
    """

    steps: int
    lr: float
    matrix_lr: float = 0.0
    warmup_steps: int = 100
    final_lr_share: float = 0.02
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip_norm: float = 2.0  # official finetune.py: global L2 norm 2.0
    ema_decay: float = 0.999
    save_every: int = 500
    log_every: int = 25

    def __post_init__(self) -> None:
        """Raise UserError for a training of no steps."""
        if self.steps < 1 or self.save_every < 1 or self.log_every < 1:
            raise UserError(
                f"expected steps, save_every and log_every of 1 or more, found {self.steps}, "
                f"{self.save_every} and {self.log_every}; fix: mend the recipe's [loop]"
            )

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step (0-based)."""
        return self.lr * self.lr_share(step)

    def lr_share(self, step: int) -> float:
        """Return the share of the full learning rate at a step (0-based)."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, self.steps))))
        return warm * (self.final_lr_share + (1 - self.final_lr_share) * share)


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
    matrices: Sequence[nn.Parameter] = (),
    recipe: Mapping[str, Any] | None = None,
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
        matrices: two-dimensional parameters that Muon may optimise, see ``settings.matrix_lr``.
        recipe: every setting that the steps depend on; a state of another recipe is not resumed.
        label: shown beside the progress bar.

    Raises:
        UserError: the loss is no longer finite, or the saved state is of another module or recipe.
    """
    kept_recipe = json.loads(json.dumps({**(recipe or {}), "loop": dataclasses.asdict(settings)}))
    folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizers = _optimizers(parameters, matrices, settings)
    ema = copy.deepcopy(module).eval().requires_grad_(False)
    learner = _Learner(module, ema, optimizers, kept_recipe)
    start = learner.restore(folder / "state.pt")
    module.train()
    losses: list[float] = []
    began = time.monotonic()
    with shown(label, settings.steps, start, "steps", silent=rank() != 0) as show:
        for step in range(start, settings.steps):
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * settings.lr_share(step)
            module.zero_grad(set_to_none=True)
            loss = loss_of(step)
            loss.backward()
            loss = average_gradients(parameters, loss)
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
            if not torch.isfinite(norm):
                raise UserError(
                    f"expected finite gradients, found {norm.item()} at step {step} of {label}; "
                    f"fix: lower lr, then run the same command to resume from {folder / 'state.pt'}"
                )
            for optimizer in optimizers:
                optimizer.step()
            _update_ema(ema, module, ema_rate(settings.ema_decay, step))
            losses.append(loss.item())
            done = step + 1
            if rank() != 0:
                continue
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
                show(done, f"loss {mean:.4f}")
                losses.clear()
            # The checkpoint first: a state that was saved says that no checkpoint before it is owed.
            if on_checkpoint and (done in checkpoints or done == settings.steps):
                on_checkpoint(ema, done)
            if done % settings.save_every == 0 or done == settings.steps:
                learner.save(folder / "state.pt", done)
    return ema


def _optimizers(
    parameters: Sequence[nn.Parameter], matrices: Sequence[nn.Parameter], settings: LoopSettings
) -> list[torch.optim.Optimizer]:
    apart = {id(p) for p in matrices} if settings.matrix_lr else set()
    decay = settings.weight_decay
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([{"params": [p for p in parameters if id(p) not in apart],
                            "initial_lr": settings.lr}],
                          lr=settings.lr, betas=settings.betas, weight_decay=decay, eps=1e-8)
    ]  # fmt: skip
    if apart:
        optimizers.append(
            torch.optim.Muon([{"params": [p for p in parameters if id(p) in apart],
                               "initial_lr": settings.matrix_lr}],
                             lr=settings.matrix_lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        )  # fmt: skip
    return optimizers


@torch.no_grad()
def _update_ema(ema: nn.Module, module: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(ema.parameters()), list(module.parameters()), 1 - decay)
    for kept, buffer in zip(ema.buffers(), module.buffers(), strict=True):
        kept.copy_(buffer)


@dataclasses.dataclass(frozen=True)
class _Learner:
    """All that a step changes, and the recipe that it follows."""

    module: nn.Module
    ema: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    recipe: Mapping[str, Any]

    def save(self, path: Path, step: int) -> None:
        """Write the state beside the old one, then put it in its place: a kill never leaves half a file."""
        partial = path.with_suffix(".partial")
        state = {
            "module": self.module.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "recipe": self.recipe,
            "step": step,
        }
        try:
            torch.save(state, partial)
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:  # torch tells of a full disk by a RuntimeError
            raise UserError(
                f"expected to write the state of step {step}, found {str(error).splitlines()[0]}, at {path}; "
                f"fix: make room, then run the same command to resume from the last state"
            ) from error

    def restore(self, path: Path) -> int:
        """Load a saved state if there is one and return the number of finished steps."""
        if not path.is_file():
            return 0
        try:
            state = torch.load(path, weights_only=True)
            _expect_recipe(self.recipe, state["recipe"])
            self.module.load_state_dict(state["module"])
            self.ema.load_state_dict(state["ema"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"expected a training state of this very configuration, found another ({error}), in {path}; "
                f"fix: use another output folder, or delete that file to start over"
            ) from error
        return int(state["step"])


def _expect_recipe(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Refuse to go on under another recipe: the weights would be of neither."""
    for key in sorted({*now, *then}):
        new, old = now.get(key), then.get(key)
        if isinstance(new, dict) and isinstance(old, dict):
            _expect_recipe(new, old)
        elif new != old:
            raise ValueError(f"{key} was {old!r} and is {new!r}")
