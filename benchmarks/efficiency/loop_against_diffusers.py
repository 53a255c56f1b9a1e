"""The denoising loop at any size: ``python -m benchmarks.efficiency.loop_against_diffusers``.

For sizes whose weights a machine may not have, on a GPU: all loops run in turns on the same random weights
(gates not zero, so that nothing is skipped), text features, noise, Euler steps and guidance, without
autoencoder and text encoder. Beside the seconds stand the share of the device's measured matrix-product peak,
useful operations only, and how far the latents are apart.

diffusers runs as it is, compiled, and compiled without the break in its graph (``diffusers_loops``). A cache
skips the same evaluations on both sides, for on random weights it has nothing to go by; cache-dit's needs the
first block at every step. On a GPU ours runs from CUDA graphs as well, each batch recorded anew as in a
sampling. Last comes the whole chain of ``chain``, which draws other latents than the rest, with and without
the cache.
"""

from __future__ import annotations

import argparse
import copy
import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.efficiency.chain import settings
from benchmarks.efficiency.command_line import without_traceback
from benchmarks.efficiency.device import device_name, matmul_peak
from benchmarks.efficiency.diffusers_loops import (
    cached,
    check_cache_dit,
    compiled,
    compiled_without_break,
    their_latents,
    their_pipeline,
)
from benchmarks.efficiency.flops import image_flops
from benchmarks.efficiency.timing import seconds_of
from lumina_eval.console import plain
from lumina_eval.errors import UserError
from lumina_model.branches import branches
from lumina_model.compiled import CompiledBlocks
from lumina_model.config import CONFIGS, NextDiTConfig
from lumina_model.cuda_graph import Graphs
from lumina_model.float8 import to_float8
from lumina_model.guidance import guided_velocity
from lumina_model.next_dit import Blocks, NextDiT
from lumina_model.sampling import DTYPES, Sampling
from lumina_model.solvers import SOLVERS
from lumina_model.step_cache import StepCache

#: For a trial of this script without a GPU; not a size of the paper.
TRIAL = NextDiTConfig(
    hidden_size=96,
    num_layers=2,
    num_attention_heads=4,
    num_kv_heads=2,
    multiple_of=32,
    axes_dim_rope=(8, 8, 8),
    cap_feat_dim=64,
)
NEGATIVE_TOKENS = 1
REFERENCE = "diffusers"
THEIR_STEPS = 30
"""Default of diffusers' pipeline (pipeline_lumina2.py, ``num_inference_steps``), and of this program."""

Draw = Callable[[Tensor, Tensor], Tensor]
"""(noise (B, C, h, w), features (B, T, F)) -> latents (B, C, h, w)."""


@dataclass(frozen=True)
class Loop:
    """A way to draw latents."""

    name: str
    draw: Draw
    sampling: Sampling
    skips: Collection[int] = ()
    """Evaluations that a cache skips."""
    rounded: bool = False
    """Its products are in float8, whose peak is another one."""


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time all loops, print the tables."""
    given = _parser().parse_args(arguments)
    config = TRIAL if given.size == "trial" else CONFIGS[given.size]
    _check(given, config)
    dtype = DTYPES[given.dtype]
    peak = matmul_peak(given.device, dtype, given.peak_seconds)
    console = plain(width=130)
    console.print(
        f"{device_name(given.device)}; {given.size}, {given.side} px, {given.steps} steps, {given.dtype}; "
        f"{peak / 1e12:.2f} TFLOP/s sustained in matrix products"
    )
    model = random_model(config).to(given.device, dtype)
    sampling = Sampling(solver="euler", steps=given.steps, renorm=None, height=given.side, width=given.side)
    with torch.inference_mode():
        loops = _loops(model, sampling, given)
        for batch in given.batches:
            torch._dynamo.reset()  # each size of batch compiled by itself, and never too many for its limit
            console.print(_compared(loops, config, batch, given, dtype, peak, console))


def random_model(config: NextDiTConfig) -> NextDiT:
    """Return a model of normal weights of which no gate is zero; seeded."""
    generator = torch.Generator().manual_seed(0)
    model = NextDiT(config).eval()
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5, generator=generator)
        elif name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.02, generator=generator)
    return model


def _loops(model: NextDiT, sampling: Sampling, given: argparse.Namespace) -> list[Loop]:
    rounded = to_float8(copy.deepcopy(model)) if given.float8 else model

    def theirs(name: str, pipeline: Any, skips: Collection[int] = ()) -> Loop:
        return Loop(
            name, functools.partial(their_latents, pipeline, sampling, NEGATIVE_TOKENS), sampling, skips
        )

    def ours(
        name: str, sampling: Sampling = sampling, skips: Collection[int] = (), compile_blocks: bool = False,
        float8: bool = False, graph: bool = False,
    ) -> Loop:  # fmt: skip
        name = f"ours, {name}" if name else "ours"
        blocks, graphs = CompiledBlocks() if compile_blocks else None, Graphs() if graph else None
        draw = functools.partial(_ours, rounded if float8 else model, sampling, skips, blocks, graphs)
        return Loop(name, draw, sampling, skips, float8)

    skips = skipped(sampling, given.cache_every)
    mode = given.mode or ("max-autotune" if next(model.parameters()).is_cuda else "default")
    loops = [theirs(REFERENCE, their_pipeline(model))]
    if given.compile:
        loops.append(theirs("diffusers, compiled", compiled(their_pipeline(model), mode)))
        loops.append(theirs("diffusers, one graph", compiled_without_break(their_pipeline(model), mode)))
    if given.cache:
        loops.append(theirs("diffusers, cache-dit", cached(model, sampling, skips), skips))
        if given.compile:
            whole = cached(model, sampling, skips, mode)
            loops.append(theirs("diffusers, cache-dit, compiled", whole, skips))
    loops.append(ours(""))
    if given.compile:
        loops.append(ours("compiled", compile_blocks=True))
    if next(model.parameters()).is_cuda:
        loops.append(ours("CUDA graph", graph=True))
        if given.compile:
            loops.append(ours("compiled, CUDA graph", compile_blocks=True, graph=True))
    if given.float8:
        loops.append(ours("float8", float8=True))
        if given.compile:
            loops.append(ours("float8, compiled", float8=True, compile_blocks=True))
    if given.cache:
        loops.append(ours("cache", skips=skips))
        if given.compile:
            loops.append(ours("cache, compiled", skips=skips, compile_blocks=True))
    chain = replace(sampling.updated(settings()[-1][1]), cache=None)
    every = [word for word, used in (("float8", given.float8), ("compiled", given.compile)) if used]
    every = [f"chain of {chain.steps} {chain.solver}", *every]
    loops.append(ours(", ".join(every), chain, (), given.compile, given.float8))
    if given.cache:
        skips = skipped(chain, given.cache_every)
        loops.append(ours(", ".join([*every, "cache"]), chain, skips, given.compile, given.float8))
    return loops


def skipped(sampling: Sampling, every: int) -> list[int]:
    """Return the evaluations that a cache skips which computes every so manieth, the first and the last."""
    evaluations = sampling.evaluations()
    return [one for one in range(evaluations - 1) if one % every]


def _ours(
    model: NextDiT,
    sampling: Sampling,
    skips: Collection[int],
    blocks: Blocks | None,
    graphs: Graphs | None,
    noise: Tensor,
    feats: Tensor,
) -> Tensor:
    mask = torch.ones(feats.shape[:2], dtype=torch.bool, device=feats.device)
    cond = model.encode_context(feats, mask)
    uncond = model.encode_context(feats[:, :NEGATIVE_TOKENS], mask[:, :NEGATIVE_TOKENS])
    if skips:
        blocks = StepCache(0, sampling.evaluations(), blocks=blocks, skips=skips)
    times = sampling.times(noise.shape[-1] * noise.shape[-2] // model.config.patch_size**2)
    velocity = guided_velocity(
        *branches(model, cond, uncond, noise.shape, blocks=blocks, prepared=graphs), sampling.guidance,
        None if isinstance(sampling.renorm, str) else sampling.renorm, sampling.guidance_stop(times),
    )  # fmt: skip
    return SOLVERS[sampling.solver](velocity, noise.float(), times, None)


def _compared(
    loops: Sequence[Loop], config: NextDiTConfig, batch: int, given: argparse.Namespace, dtype: torch.dtype,
    peak: float, console: Console,
) -> Table:  # fmt: skip
    """Time all loops in turns, so that a busy moment of the machine hits all of them alike.

    What does not fit in memory is left out and told.
    """
    side = given.side // 8
    noise = torch.randn(batch, config.in_channels, side, side, generator=torch.Generator().manual_seed(1))
    feats = torch.randn(batch, given.tokens, config.cap_feat_dim, generator=torch.Generator().manual_seed(2))
    noise, feats = noise.to(given.device, dtype), feats.to(given.device, dtype)
    drawn: dict[str, Tensor] = {}
    for loop in loops:
        try:
            drawn[loop.name] = loop.draw(noise, feats).float()  # compiles and warms up
        except torch.OutOfMemoryError:
            console.print(
                f"batch {batch} of {loop.name} does not fit in the memory of {given.device}: left out"
            )
    loops = [loop for loop in loops if loop.name in drawn]
    kind = torch.device(given.device).type
    seconds = np.array(
        [[seconds_of(functools.partial(loop.draw, noise, feats), kind) for loop in loops]
         for _ in range(given.repeats)]
    )  # fmt: skip  # (repeats, loops)
    found = dict(zip(drawn, np.median(seconds, axis=0) / batch, strict=True))
    table = Table(title=f"batch {batch}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "s/image", "faster than diffusers", "of peak", "latents apart (relative, mean)"):
        table.add_column(column, justify="right" if column else "left", no_wrap=not column)
    ours = drawn.get("ours", next(iter(drawn.values()), noise))
    for loop in loops:
        useful = image_flops(
            config, loop.sampling, [given.tokens], NEGATIVE_TOKENS, (side // config.patch_size) ** 2
        )
        alike = loop.sampling.solver == "euler" and not loop.skips
        # The chain has its own number of steps, and is a ratio to diffusers at that pipeline's default alone.
        other = loop.sampling.solver != "euler" and given.steps != THEIR_STEPS
        table.add_row(
            loop.name,
            f"{found[loop.name]:.3f}",
            f"{found[REFERENCE] / found[loop.name]:.2f}x" if REFERENCE in found and not other else "",
            "" if loop.skips or loop.rounded else f"{useful / found[loop.name] / peak:.0%}",
            f"{float((drawn[loop.name] - ours).abs().mean() / ours.abs().mean()):.1e}" if alike else "",
        )
    return table


def _check(given: argparse.Namespace, config: NextDiTConfig) -> None:
    """Raise UserError for what would fail, or mean nothing, after the model is made."""
    if torch.device(given.device).type == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "expected an NVIDIA GPU for --device cuda, found none; fix: --size trial --side 128 --device cpu"
        )
    if given.peak_seconds <= 0:
        raise UserError(f"expected --peak-seconds above 0, found {given.peak_seconds:g}; fix: leave it out")
    if given.cache and given.steps < 3:
        raise UserError(
            f"expected --steps of 3 or more for a cache, which computes the first and the last, found "
            f"{given.steps}; fix: --steps 30, or --no-cache"
        )
    for name, least in (("repeats", 1), ("steps", 1), ("tokens", 1)):
        if getattr(given, name) < least:
            raise UserError(
                f"expected --{name} of {least} or more, found {getattr(given, name)}; fix: leave it out"
            )
    if min(given.batches) < 1 or given.tokens >= config.axes_lens[0]:
        raise UserError(
            f"expected batches of 1 or more and fewer than {config.axes_lens[0]} tokens, found "
            f"{min(given.batches)} and {given.tokens}; fix: --batches 1 4 --tokens 64"
        )
    if given.side < 16 or given.side % 16:
        raise UserError(f"expected --side of a multiple of 16 pixels, found {given.side}; fix: --side 1024")
    if given.cache:
        check_cache_dit()
    if given.cache and given.cache_every < 2:
        raise UserError(
            f"expected --cache-every of 2 or more, found {given.cache_every}; fix: 2 or more, or --no-cache"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=[*CONFIGS, "trial"], default="2.6B")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--float8", action="store_true", help="ours with products in float8 beside them")
    parser.add_argument("--side", type=int, default=1024, help="of the image in pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--tokens", type=int, default=64, help="valid tokens of each prompt")
    parser.add_argument("--steps", type=int, default=THEIR_STEPS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak-seconds", type=float, default=10.0)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--mode", help="of torch.compile, for diffusers; max-autotune on a GPU, else default")
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache-every", type=int, default=2, help="evaluation that a cache computes")
    return parser


if __name__ == "__main__":
    main()
