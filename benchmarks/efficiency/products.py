"""Our linear layers against torch's, on a CPU: ``python -m benchmarks.efficiency.products``.

For each layer of a model's joint blocks, on so many tokens: operations a second of both, measured in turns on
one input, their ratio, and how far both are from the product in float64, beside the rounding of float32. The
last two columns tell how many times faster than ours narrower formats are: bfloat16, from activations that
are in it already, as in a sampling in bfloat16; and int8 with a scale for each token and each output, where
rounding the activations and scaling back count. The sampler offers the first and not the second.

A second table does the same for attention alone, of one sequence at the model's heads, at several lengths: in
bfloat16, its casts from float32 and back counted.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as attention

from benchmarks.efficiency.command_line import without_traceback
from benchmarks.efficiency.device import device_name
from benchmarks.efficiency.timing import seconds_of
from lumina_eval.console import plain
from lumina_eval.errors import UserError
from lumina_model import embedded
from lumina_model.checkpoint import read_transformer
from lumina_model.linear import Linear, prefers_onednn
from lumina_model.next_dit import Block

#: Tokens of the sequences that attention is timed on: images of 128, 256, 512 and 1024 px with a text.
LENGTHS: Final = (96, 288, 1_056, 4_128)
LAYERS: Final = ("attn.to_q", "attn.to_k", "attn.to_out.0", "feed_forward.linear_1", "feed_forward.linear_2")


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time every layer, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=16 * 80, help="rows of the input")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], help="sequence of the attention")
    parser.add_argument("--threads", type=int, default=None, help="of torch, for both sides")
    given = parser.parse_args(arguments)
    if given.tokens < 1 or given.repeats < 1:
        raise UserError(
            f"expected tokens and repeats of 1 or more, found {given.tokens} and {given.repeats}; "
            "fix: --tokens 1280 --repeats 50"
        )
    if given.threads:
        torch.set_num_threads(given.threads)
    transformer = embedded.parts("hq_tuning")["transformer"]
    block = read_transformer(transformer, torch.float32).layers[0]
    assert isinstance(block, Block)
    way = "through oneDNN" if prefers_onednn() else "torch's way on this processor, so ratios are noise"
    console = plain(width=130)
    console.print(f"{device_name('cpu')}; {given.tokens} tokens, float32; ours goes {way}")
    console.print(_layers(block, given.tokens, given.repeats))
    lengths = [length for length in LENGTHS if length <= given.longest]
    console.print(_attention(block.attn.head_dim, block.attn.to_q.out_features, lengths, given.repeats))


def _layers(block: Block, tokens: int, repeats: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    figures = ("torch, GFLOP/s", "ours, GFLOP/s", "ratio", "error, torch", "error, ours", "bfloat16", "int8")
    for column in ("layer", "in", "out", *figures):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for name in LAYERS:
        ours = block.get_submodule(name)
        assert isinstance(ours, Linear)
        theirs = nn.Linear(ours.in_features, ours.out_features, bias=False)
        theirs.weight = ours.weight
        x = torch.randn(tokens, ours.in_features, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            calls = [functools.partial(layer, x) for layer in (theirs, ours)]
            exact = nn.functional.linear(x.double(), ours.weight.double())
            errors = [float((call().double() - exact).abs().max() / exact.abs().max()) for call in calls]
            calls.append(functools.partial(nn.functional.linear, x.bfloat16(), ours.weight.bfloat16()))
            calls.append(functools.partial(int8_product, x, *int8_rows(ours.weight)))
            seconds = [[seconds_of(call, "cpu") for call in calls] for _ in range(repeats + 1)][1:]
        slow, fast, *narrower = np.median(np.array(seconds), axis=0)
        work = 2e-9 * tokens * ours.in_features * ours.out_features
        table.add_row(
            name, str(ours.in_features), str(ours.out_features), f"{work / slow:.0f}", f"{work / fast:.0f}",
            f"{slow / fast:.2f}x", *(f"{error:.0e}" for error in errors),
            *(f"{fast / one:.2f}x" for one in narrower),
        )  # fmt: skip
    return table


def _attention(head_dim: int, width: int, lengths: Sequence[int], repeats: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("attention over", "float32, GFLOP/s", "bfloat16", "with casts"):
        table.add_column(column, justify="left" if column == "attention over" else "right")
    for length in lengths:
        generator = torch.Generator().manual_seed(0)
        exact = torch.randn(3, 1, width // head_dim, length, head_dim, generator=generator)  # q, k, v
        narrow = exact.bfloat16()
        calls = [
            functools.partial(attention, *exact),
            functools.partial(attention, *narrow),
            functools.partial(in_bfloat16, exact),
        ]
        with torch.inference_mode():
            seconds = [[seconds_of(call, "cpu") for call in calls] for _ in range(repeats + 1)][1:]
        whole, *others = np.median(np.array(seconds), axis=0)
        work = 4e-9 * length**2 * width
        table.add_row(f"{length} tokens", f"{work / whole:.0f}", *(f"{whole / one:.2f}x" for one in others))
    return table


def in_bfloat16(heads: Tensor) -> Tensor:
    """Attention of queries, keys and values (3, B, A, L, d), rounded to bfloat16 -> (B, A, L, d) float32."""
    return attention(*heads.bfloat16()).float()


def int8_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (M, K) to int8 and their scales (M, 1): values · scale is about the rows."""
    scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny) / 127
    return (rows / scale).round_().to(torch.int8), scale


def int8_product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x (M, K) times rows (N, K) as they come from :func:`int8_rows` -> (M, N), x rounded alike."""
    values, own = int8_rows(x)
    return torch._int_mm(values, weight.t()).float().mul_(own).mul_(scale.t())


if __name__ == "__main__":
    main()
