"""Data parallelism on one machine's CPU: each process takes a share of every batch, gradients are averaged.

A transformer of a few million parameters is too small for many threads: they wait for each other after every
small product. Processes meet once per step (measured with ``low_res`` on 4 cores: see the model card).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from lumina_model.errors import UserError

T = TypeVar("T")


def run(count: int, function: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Call ``function`` in ``count`` new processes that form a group; return when all are done.

    Raises:
        SystemExit: a process ended with a user's mistake, which it has told.
    """
    with tempfile.TemporaryDirectory() as folder:
        threads = max(1, torch.get_num_threads() // count)
        try:
            mp.start_processes(  # type: ignore[no-untyped-call]
                _member, (count, f"{folder}/meeting", threads, function, arguments, options), nprocs=count
            )
        except mp.ProcessExitedException as error:
            raise SystemExit(error.exit_code) from None


def rank() -> int:
    """Return this process's number in its group; 0 outside of one."""
    return int(dist.get_rank()) if dist.is_initialized() else 0


def share(batch: Sequence[T]) -> Sequence[T]:
    """Return this process's part of a batch; all of it outside of a group."""
    return batch[dist.get_rank() :: dist.get_world_size()] if dist.is_initialized() else batch


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


def _member(number: int, count: int, meeting: str, threads: int, function: Callable[..., None],
            arguments: tuple[Any, ...], options: dict[str, Any]) -> None:  # fmt: skip
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(threads)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=count)
    try:
        function(*arguments, **options)
    except UserError as error:
        if number == 0:
            print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        dist.destroy_process_group()
