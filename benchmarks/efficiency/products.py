"""Our linear layers against torch's, on a CPU: ``python -m benchmarks.efficiency.products``.

For each layer of a model's joint blocks, on so many tokens: operations a second of both, measured in turns on
one input, their ratio, and how far both are from the product in float64, beside the rounding of float32. The
last two columns tell how many times faster than ours narrower formats are: bfloat16, from activations that
are in it already, as in a sampling in bfloat16; and int8 with a scale for each token and each output, where
rounding the activations and scaling back count. The sampler offers the first and not the second.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.efficiency.command_line import without_traceback
from benchmarks.efficiency.device import device_name
from benchmarks.efficiency.timing import seconds_of
from lumina_eval.errors import UserError
from lumina_model import embedded
from lumina_model.checkpoint import read_transformer
from lumina_model.linear import Linear, prefers_onednn
from lumina_model.next_dit import Block

LAYERS: Final = ("attn.to_q", "attn.to_k", "attn.to_out.0", "feed_forward.linear_1", "feed_forward.linear_2")


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time every layer, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=16 * 80, help="rows of the input")
    parser.add_argument("--repeats", type=int, default=50)
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
    console = Console(width=130)
    console.print(f"{device_name('cpu')}; {given.tokens} tokens, float32; ours goes {way}")
    console.print(_table(block, given.tokens, given.repeats))


def _table(block: Block, tokens: int, repeats: int) -> Table:
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
