"""Data parallelism on one machine's CPU: each process takes a share of every batch, gradients are averaged.

A transformer of a few million parameters is too small for many threads: they wait for each other after every
small product. Processes meet once per step.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from lumina_model.errors import UserError

Batch = TypeVar("Batch", bound=Any)
GONE: Final = "Connection closed by peer"  # what gloo says to those that wait for a process that is no more


def run(count: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call ``function`` in ``count`` new processes that form a group, or here if it is one.

    Raises:
        UserError: a process ended with a user's mistake, or was ended by the system.
    """
    if count == 1:
        function(*arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        threads = max(1, torch.get_num_threads() // count)
        try:
            start_processes(_member, (count, folder, threads, function, arguments), nprocs=count)
        except (ProcessExitedException, ProcessRaisedException) as error:
            if told := sorted(Path(folder).glob("mistake-*")):
                raise UserError(told[0].read_text(encoding="utf-8")) from None
            if isinstance(error, ProcessRaisedException) and GONE not in str(error):
                raise
            by = error.signal_name if isinstance(error, ProcessExitedException) else None
            end = by or "the system"
            raise UserError(
                f"expected {count} processes to train to the end, found one ended by {end}; fix: see whether "
                f"memory ran out, then run the same command to resume, or with fewer --processes"
            ) from None


def rank() -> int:
    """Return this process's number in its group; 0 outside of one."""
    return int(dist.get_rank()) if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes in the group; 1 outside of one."""
    return int(dist.get_world_size()) if dist.is_initialized() else 1


def share(batch: Batch) -> Batch:
    """Return this process's part of a batch (a sequence, array or tensor); all of it outside of a group."""
    return batch[rank() :: world_size()] if dist.is_initialized() else batch


def average_gradients(parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
    """Replace gradients by their mean over the group, and return the mean loss; alone, do nothing."""
    if not dist.is_initialized():
        return loss
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), loss.detach().reshape(1)])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    torch._foreach_copy_(gradients, [
        part.view_as(gradient)
        for part, gradient in zip(flat[:-1].split([g.numel() for g in gradients]), gradients, strict=True)
    ])  # fmt: skip
    return flat[-1]


def _member(number: int, count: int, folder: str, threads: int, function: Callable[..., None],
            arguments: tuple[Any, ...]) -> None:  # fmt: skip
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # torch interrupts us when the parent is gone; a script's background jobs start with that signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(threads)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=count)
    try:
        dist.barrier()  # all have met, so that none waits for one that made a mistake
        function(*arguments)
    except (UserError, OSError) as error:
        (Path(folder) / f"mistake-{number}").write_text(str(error), encoding="utf-8")
        sys.exit(2)
    finally:
        dist.destroy_process_group()
