"""The denoising loop at any size: ``python -m benchmarks.efficiency.loop_against_diffusers``.

For sizes whose weights a machine may not have, on a GPU: all loops run in turns on the same random weights
(gates not zero, so that nothing is skipped), text features, noise, Euler steps and guidance, without
autoencoder and text encoder. Beside the seconds stand the share of the device's measured matrix-product peak,
useful operations only, and how far the latents are apart.

diffusers runs as it is, compiled, and compiled without the break in its graph (``diffusers_loops``). A cache
skips the same evaluations on both sides, for on random weights it has nothing to go by. Last comes the whole
chain of ``chain``, which draws other latents than the rest, with and without the cache.
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
from rich.table import Table
from torch import Tensor

from benchmarks.efficiency.chain import settings
from benchmarks.efficiency.command_line import without_traceback
from benchmarks.efficiency.device import device_name, matmul_peak
from benchmarks.efficiency.diffusers_loops import (
    cached,
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


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time all loops, print the tables."""
    given = _parser().parse_args(arguments)
    _check(given)
    config = TRIAL if given.size == "trial" else CONFIGS[given.size]
    dtype = DTYPES[given.dtype]
    peak = matmul_peak(given.device, dtype, given.peak_seconds)
    console = plain(width=120)
    console.print(
        f"{device_name(given.device)}; {given.size}, {given.side} px, {given.steps} steps, {given.dtype}; "
        f"{peak / 1e12:.2f} TFLOP/s sustained in matrix products"
    )
    model = random_model(config).to(given.device, dtype)
    sampling = Sampling(solver="euler", steps=given.steps, renorm=None, height=given.side, width=given.side)
    with torch.inference_mode():
        loops = _loops(model, sampling, given)
        for batch in given.batches:
            try:
                console.print(_compared(loops, config, batch, given, dtype, peak))
            except torch.OutOfMemoryError:
                console.print(f"batch {batch} does not fit in the memory of {given.device}: left out")


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
    def theirs(name: str, pipeline: Any, skips: Collection[int] = ()) -> Loop:
        return Loop(
            name, functools.partial(their_latents, pipeline, sampling, NEGATIVE_TOKENS), sampling, skips
        )

    def ours(
        name: str, model: NextDiT = model, sampling: Sampling = sampling, skips: Collection[int] = (),
        compiled: bool = False,
    ) -> Loop:  # fmt: skip
        name = f"ours, {name}" if name else "ours"
        blocks = CompiledBlocks() if compiled else None
        return Loop(name, functools.partial(_ours, model, sampling, skips, blocks), sampling, skips)

    skips = skipped(sampling, given.cache_every)
    loops = [theirs(REFERENCE, their_pipeline(model))]
    if given.compile:
        whole = their_pipeline(model)
        whole.transformer.compile()
        loops.append(theirs("diffusers, compiled", whole))
        loops.append(theirs("diffusers, one graph", compiled_without_break(their_pipeline(model))))
    if given.cache:
        loops.append(theirs("diffusers, cache-dit", cached(their_pipeline(model), sampling, skips), skips))
    loops.append(ours(""))
    if given.compile:
        loops.append(ours("compiled", compiled=True))
    rounded = to_float8(copy.deepcopy(model)) if given.float8 else model
    if given.float8:
        loops.append(ours("float8", rounded))
        if given.compile:
            loops.append(ours("float8, compiled", rounded, compiled=True))
    if given.cache:
        loops.append(ours("cache", skips=skips))
        if given.compile:
            loops.append(ours("cache, compiled", skips=skips, compiled=True))
    chain = replace(sampling.updated(settings()[-1][1]), cache=None)
    every = [word for word, used in (("float8", given.float8), ("compiled", given.compile)) if used]
    loops.append(ours(", ".join(["chain", *every]), rounded, chain, compiled=given.compile))
    if given.cache:
        skips = skipped(chain, given.cache_every)
        loops.append(ours(", ".join(["chain", *every, "cache"]), rounded, chain, skips, given.compile))
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
        *branches(model, cond, uncond, noise.shape, blocks=blocks), sampling.guidance,
        None if isinstance(sampling.renorm, str) else sampling.renorm, sampling.guidance_stop(times),
    )  # fmt: skip
    return SOLVERS[sampling.solver](velocity, noise.float(), times, None)


def _compared(
    loops: Sequence[Loop], config: NextDiTConfig, batch: int, given: argparse.Namespace, dtype: torch.dtype,
    peak: float,
) -> Table:  # fmt: skip
    """Time all loops in turns, so that a busy moment of the machine hits all of them alike."""
    side = given.side // 8
    noise = torch.randn(batch, config.in_channels, side, side, generator=torch.Generator().manual_seed(1))
    feats = torch.randn(batch, given.tokens, config.cap_feat_dim, generator=torch.Generator().manual_seed(2))
    noise, feats = noise.to(given.device, dtype), feats.to(given.device, dtype)
    drawn = {loop.name: loop.draw(noise, feats).float() for loop in loops}  # compiles and warms up
    kind = torch.device(given.device).type
    seconds = np.array(
        [[seconds_of(functools.partial(loop.draw, noise, feats), kind) for loop in loops]
         for _ in range(given.repeats)]
    )  # fmt: skip  # (repeats, loops)
    found = dict(zip(drawn, np.median(seconds, axis=0) / batch, strict=True))
    table = Table(title=f"batch {batch}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "s/image", "faster than diffusers", "of peak", "latents apart (relative, mean)"):
        table.add_column(column, justify="right" if column else "left")
    ours = drawn["ours"]
    for loop in loops:
        useful = image_flops(
            config, loop.sampling, [given.tokens], NEGATIVE_TOKENS, (side // config.patch_size) ** 2
        )
        alike = loop.sampling == loops[0].sampling and not loop.skips
        table.add_row(
            loop.name,
            f"{found[loop.name]:.3f}",
            f"{found[REFERENCE] / found[loop.name]:.2f}x",
            "" if loop.skips else f"{useful / found[loop.name] / peak:.0%}",
            f"{float((drawn[loop.name] - ours).abs().mean() / ours.abs().mean()):.1e}" if alike else "",
        )
    return table


def _check(given: argparse.Namespace) -> None:
    """Raise UserError for what would fail, or mean nothing, after the model is made."""
    if torch.device(given.device).type == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "expected an NVIDIA GPU for --device cuda, found none; fix: --size trial --side 128 --device cpu"
        )
    if given.side < 16 or given.side % 16:
        raise UserError(f"expected --side of a multiple of 16 pixels, found {given.side}; fix: --side 1024")
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
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak-seconds", type=float, default=10.0)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache-every", type=int, default=2, help="evaluation that a cache computes")
    return parser


if __name__ == "__main__":
    main()
