"""What the device can do and what it used: sustained matrix products, peak memory, energy."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import platform
import sys
import time
from pathlib import Path
from typing import Final

import torch

from lumina_model.float8 import FLOAT8, has_float8, rounded, scaled_product, stored_dtype
from lumina_model.linear import Linear

#: Side of the square matrices: large enough to fill the device, small enough to stay in its memory.
SIDES: Final = {"cuda": 8192, "cpu": 1024}
#: Linux tells the processor's energy here, where the reader may read it.
POWERCAP: Final = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def device_name(device: str) -> str:
    """Return the device's name for people."""
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.processor() or platform.machine())}, {torch.get_num_threads()} threads"


def matmul_peak(device: str, dtype: torch.dtype, seconds: float = 2.0) -> float:
    """Return floating-point operations a second of square products of random matrices, over ``seconds``.

    A device that is throttled by heat or power is so here too: this is what it sustains, not its data sheet.
    The products are those of the model's own layers, which on some CPUs are faster than ``torch.mm``; for
    float8 those of its kernel without the rounding before it, or in bfloat16 where there is none.
    """
    side = SIDES.get(device, SIDES["cpu"])
    generator = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(side, side, device=device, generator=generator) for _ in range(2))
    if dtype == FLOAT8 and has_float8(left.device):
        product = functools.partial(scaled_product, *rounded(left), *rounded(right), torch.bfloat16)
    else:
        kept = stored_dtype(dtype)
        layer = torch.nn.utils.skip_init(Linear, side, side, bias=False)  # type: ignore[no-untyped-call]
        layer.weight = torch.nn.Parameter(right.to(kept))
        product = functools.partial(layer, left.to(kept))
    with torch.inference_mode():
        product()
        done, begun = 0, _now(device)
        while (spent := _now(device) - begun) < seconds:
            for _ in range(4):
                product()
            done += 4
    return done * 2 * side**3 / spent


def reset_peak_memory(device: str) -> None:
    """Count peak memory from now, where the device can."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> int | None:
    """Return bytes: what torch held at most on a GPU, on a CPU the process at most since it began."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def energy(device: str) -> float | None:
    """Return joules counted by the device so far; None where it does not tell."""
    if device == "cuda":
        return _gpu_energy()
    try:
        return int(POWERCAP.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def _gpu_energy() -> float | None:
    if importlib.util.find_spec("pynvml") is None:
        return None
    try:  # comes with some installations of torch; no need of ours
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(torch.cuda.current_device())
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except Exception:  # older cards and shared ones do not tell, each in a way of its own
        return None


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
