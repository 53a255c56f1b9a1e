"""Seconds of a call: warmed up, repeated, and measured where the work is done."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of each repetition, in the order in which they were measured."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def p90(self) -> float:
        """What nine of ten repetitions stay below (linear interpolation)."""
        if len(self.seconds) == 1:
            return self.seconds[0]
        return statistics.quantiles(self.seconds, n=10, method="inclusive")[-1]


def timed(call: Callable[[], object], device: str, repeats: int = 5, warmup: int = 1) -> Timing:
    """Time ``call``: device events around it on CUDA, after all that came before; the clock elsewhere."""
    for _ in range(warmup):
        call()
    return Timing(tuple(seconds_of(call, device) for _ in range(repeats)))


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Return the seconds of one call."""
    if device != "cuda":
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1000
