"""The denoising loop at any size: ``python -m benchmarks.efficiency.loop_against_diffusers``.

For sizes whose weights a machine may not have, on a GPU: both loops run on the same random weights (gates
not zero, so that nothing is skipped), text features, noise, Euler steps and guidance, without autoencoder and
text encoder. Beside the seconds stand the share of the device's measured matrix-product peak, useful
operations only, and how far the latents are apart. Both sides are also compiled: of diffusers the whole
transformer, as its documentation advises, which leaves one break in the graph.
"""

from __future__ import annotations

import argparse
import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.efficiency.device import device_name, matmul_peak
from benchmarks.efficiency.flops import image_flops
from benchmarks.efficiency.timing import timed
from lumina_model.branches import branches
from lumina_model.compiled import CompiledBlocks
from lumina_model.config import CONFIGS, NextDiTConfig
from lumina_model.float8 import to_float8
from lumina_model.guidance import guided_velocity
from lumina_model.next_dit import Blocks, NextDiT
from lumina_model.sampling import DTYPES, Sampling
from lumina_model.solvers import euler

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time all loops, print the table."""
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
    given = parser.parse_args(arguments)
    config = TRIAL if given.size == "trial" else CONFIGS[given.size]
    dtype = DTYPES[given.dtype]
    peak = matmul_peak(given.device, dtype, given.peak_seconds)
    console = Console(width=110)
    console.print(
        f"{device_name(given.device)}; {given.size}, {given.side} px, {given.steps} steps, {given.dtype}; "
        f"{peak / 1e12:.2f} TFLOP/s sustained in matrix products"
    )
    model = random_model(config).to(given.device, dtype)
    sampling = Sampling(solver="euler", steps=given.steps, renorm=None, height=given.side, width=given.side)
    with torch.inference_mode():
        loops = _loops(model, sampling, given.compile, given.float8)
        for batch in given.batches:
            console.print(_compared(loops, config, sampling, batch, given.tokens, given.repeats, peak))


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


Loop = Callable[[Tensor, Tensor], Tensor]
"""(noise (B, C, h, w), features (B, T, F)) -> latents (B, C, h, w)."""


def _loops(model: NextDiT, sampling: Sampling, compiled: bool, float8: bool) -> dict[str, Loop]:
    pipeline, fast = (_their_pipeline(model) for _ in range(2))
    loops: dict[str, Loop] = {
        "diffusers": functools.partial(_theirs, pipeline, sampling),
        "ours": functools.partial(_ours, model, sampling, None),
    }
    if compiled:
        fast.transformer.compile()
        loops["diffusers, compiled"] = functools.partial(_theirs, fast, sampling)
        loops["ours, compiled"] = functools.partial(_ours, model, sampling, CompiledBlocks())
    if float8:
        rounded = to_float8(copy.deepcopy(model))
        loops["ours, float8"] = functools.partial(_ours, rounded, sampling, None)
        if compiled:
            loops["ours, float8, compiled"] = functools.partial(_ours, rounded, sampling, CompiledBlocks())
    return loops


def _ours(model: NextDiT, sampling: Sampling, blocks: Blocks | None, noise: Tensor, feats: Tensor) -> Tensor:
    mask = torch.ones(feats.shape[:2], dtype=torch.bool, device=feats.device)
    cond = model.encode_context(feats, mask)
    uncond = model.encode_context(feats[:, :NEGATIVE_TOKENS], mask[:, :NEGATIVE_TOKENS])
    pair = branches(model, cond, uncond, noise.shape, blocks=blocks)
    velocity = guided_velocity(*pair, sampling.guidance)
    return euler(velocity, noise.float(), sampling.times(noise.shape[-1] * noise.shape[-2] // 4))


def _theirs(pipeline: Any, sampling: Sampling, noise: Tensor, feats: Tensor) -> Tensor:
    mask = torch.ones(feats.shape[:2], dtype=torch.bool, device=feats.device)
    negative = mask.clone()
    negative[:, NEGATIVE_TOKENS:] = False
    found: Tensor = pipeline(
        prompt_embeds=feats,
        prompt_attention_mask=mask,
        negative_prompt_embeds=feats,
        negative_prompt_attention_mask=negative,
        latents=noise,
        height=sampling.height,
        width=sampling.width,
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        cfg_normalization=False,
        output_type="latent",
    ).images
    return found


def _their_pipeline(model: NextDiT) -> Any:
    """diffusers' pipeline around the same weights, without text encoder and autoencoder."""
    from dataclasses import asdict

    from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel

    known = {
        key: value for key, value in asdict(model.config).items() if key not in ("rope_theta", "qk_norm_eps")
    }
    first = next(model.parameters())
    transformer = Lumina2Transformer2DModel(**known).to(first.device, first.dtype).eval()
    transformer.load_state_dict(model.state_dict(), strict=False)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
    pipeline = Lumina2Pipeline(transformer, scheduler, None, None, None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _compared(
    loops: dict[str, Loop], config: NextDiTConfig, sampling: Sampling, batch: int, tokens: int, repeats: int,
    peak: float,
) -> Table:  # fmt: skip
    weight = next(iter(loops["ours"].args[0].parameters()))  # type: ignore[attr-defined]
    side = (sampling.height or 1024) // 8
    noise = torch.randn(batch, config.in_channels, side, side, generator=torch.Generator().manual_seed(1))
    feats = torch.randn(batch, tokens, config.cap_feat_dim, generator=torch.Generator().manual_seed(2))
    noise, feats = noise.to(weight.device, weight.dtype), feats.to(weight.device, weight.dtype)
    useful = image_flops(config, sampling, [tokens], NEGATIVE_TOKENS, side * side // config.patch_size**2)
    reference = loops["ours"](noise, feats).float()
    table = Table(title=f"batch {batch}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "s/image", "of ours", "of peak", "latents apart (relative, mean)"):
        table.add_column(column, justify="right" if column else "left")
    found = {
        name: timed(functools.partial(loop, noise, feats), weight.device.type, repeats)
        for name, loop in loops.items()
    }
    for name, loop in loops.items():
        apart = (loop(noise, feats).float() - reference).abs().mean() / reference.abs().mean()
        seconds = found[name].median / batch
        table.add_row(
            name,
            f"{seconds:.3f}",
            f"{found[name].median / found['ours'].median:.2f}x",
            f"{useful / seconds / peak:.0%}",
            f"{float(apart):.1e}",
        )
    return table


if __name__ == "__main__":
    main()
