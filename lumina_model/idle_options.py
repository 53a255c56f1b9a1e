"""Options that contradict the others or would do nothing: told before an image is made, never passed over.

What is asked for and left out without a word gives an image that is not the one that was asked for. Only what
was named is held to be of use; a checkpoint's own sampling and the defaults may hold what is idle.
"""

import math
import warnings
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from lumina_model.errors import UserError
from lumina_model.float8 import has_float8
from lumina_model.sampling import Sampling
from lumina_model.solvers import SOLVERS

PATCH_PIXELS = 16
"""Side of an image token in pixels: 8 of the autoencoder times 2 of the transformer."""

_OF_GUIDANCE = {
    "renorm": None, "truncation": None, "truncation_ratio": None, "guidance_start": 0.0, "guidance_every": 1,
    "negative_prompt": "", "system_prompt_in_negative": None,
}  # fmt: skip
"""Options of guidance, and with which value each does nothing."""
_LEAST_FOR_CACHE = 3  # the first and the last evaluation are always computed


def check_options(
    named: Collection[str], sampling: Sampling, device: str, compiled: bool, graphs: bool = False
) -> None:
    """Check a sampling that options have changed; a warning tells of a dtype that is slow here.

    Args:
        named: options that the user gave.
        sampling: what came of them.
        device: e.g. ``cpu`` or ``cuda:1``.
        compiled: blocks are to be compiled.
        graphs: evaluations are to be replayed from CUDA graphs.

    Raises:
        UserError: an option that was named has no effect, two that exclude each other, guidance that never
            takes place, or compiled blocks or graphs where there are none.
    """
    visited, stop, kind = _visited(sampling), _stop(sampling), torch.device(device).type
    for name, reason in _idle(sampling, stop, visited).items():
        if name in named:
            raise UserError(f"expected an option that does something, found {name}, though {reason}")
    if {"points", "steps"} <= set(named):
        raise UserError(
            "expected one of points and steps, found both, in the sampling; fix: drop one (points are "
            "steps + 1, but for dpm)"
        )
    if sampling.guidance != 1 and not _guided(sampling, stop, visited):
        raise UserError(
            f"expected guidance at one of the times at least, found none between guidance_start "
            f"{sampling.guidance_start:g} and truncation {sampling.truncation} or truncation_ratio "
            f"{sampling.truncation_ratio}; fix: guidance=1 says so, at half the cost"
        )
    if compiled and kind not in ("cpu", "cuda"):
        raise UserError(f"expected device cpu or cuda for compile, found {device}; fix: compile=false")
    if graphs and (kind != "cuda" or torch.version.hip is not None):
        raise UserError(f"expected an NVIDIA GPU for cuda_graph, found {device}; fix: cuda_graph=false")
    if graphs and sampling.cache is not None:
        raise UserError(
            "expected one of cuda_graph and cache, found both: a graph replays all blocks, and the cache "
            "decides at each step which to skip; fix: drop one"
        )
    if sampling.dtype == "float8" and kind not in ("cpu", "cuda"):
        raise UserError(f"expected device cpu or cuda for float8, found {device}; fix: dtype=bfloat16")
    if sampling.dtype == "float8" and not has_float8(torch.device(device)):
        warnings.warn(
            f"this {device} has no products in float8: values are rounded to it as asked and multiplied in "
            "bfloat16, which holds each of them, and nothing is saved; dtype=bfloat16 rounds less",
            stacklevel=2,
        )
    if kind == "cpu" and sampling.dtype in ("bfloat16", "float8") and not _knows_bfloat16():
        warnings.warn(
            "this processor has no instructions for bfloat16: the images are as asked for, and slower "
            "than in float32",
            stacklevel=2,
        )


def _idle(sampling: Sampling, stop: float, visited: Sequence[float]) -> Mapping[str, str]:
    """Return each option that has a value and no effect, with why and what to do.

    ``stop`` is the time at which guidance ends, ``visited`` those at which the solver looks.
    """
    found: dict[str, str] = {}
    last = max(visited)
    if sampling.guidance == 1:
        why = "guidance is 1, which guides nowhere; fix: another guidance, or leave it out"
        found |= {name: why for name, idle in _OF_GUIDANCE.items() if getattr(sampling, name) != idle}
    elif not sampling.negative_prompt:
        found["system_prompt_in_negative"] = "there is no negative_prompt; fix: leave it out"
    if sampling.guidance != 1 and sampling.guidance_every > 1 and _guided(sampling, stop, visited) < 2:
        found["guidance_every"] = (
            "it keeps the unconditional branch of one guided evaluation for the next, and fewer than two are "
            "guided; fix: leave it out"
        )
    if sampling.cache is None:
        found["cache_coefficients"] = "there is no cache; fix: a cache, e.g. cache=0.3, or leave it out"
    elif sampling.evaluations() < _LEAST_FOR_CACHE:
        found["cache"] = (
            f"all of {sampling.evaluations()} evaluations are the first or the last, which a cache never "
            "skips; fix: more steps, or leave it out"
        )
    if sampling.dynamic_shift and sampling.shift is not None:
        found["shift"] = "dynamic_shift takes its place; fix: dynamic_shift=false, or leave it out"
    if sampling.guidance != 1 and stop > last:
        why = f"guidance ends after the last time that a step visits ({last:.3g}); fix: "
        found["truncation"] = f"{why}an earlier time, or leave it out"
        found["truncation_ratio"] = f"{why}a smaller ratio, or leave it out"
    return {name: why for name, why in found.items() if getattr(sampling, name) is not None}


def _knows_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16; True where torch cannot say, as on ARM."""
    ask = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    return torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512") or any(f() for f in ask if f)


def _guided(sampling: Sampling, stop: float, visited: Sequence[float]) -> int:
    """Return how many evaluations are guided, where guidance is not 1."""
    return sum(sampling.guidance_start <= time < stop for time in visited)


def _stop(sampling: Sampling) -> float:
    """The time at which guidance ends; infinite for never."""
    stop = sampling.guidance_stop(_times(sampling))
    return math.inf if stop is None else stop


def _times(sampling: Sampling) -> Tensor:
    height, width = sampling.size
    return sampling.times(height * width // PATCH_PIXELS**2)


def _visited(sampling: Sampling) -> list[float]:
    """The times at which the solver looks at the velocity: it runs on a state of one number."""
    seen: list[float] = []

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        seen.append(float(time))
        return x

    SOLVERS[sampling.solver](velocity, torch.zeros(1, 1, 1, 1), _times(sampling))
    return seen
