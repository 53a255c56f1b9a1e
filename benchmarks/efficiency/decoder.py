"""How many images to decode at once: ``python -m benchmarks.efficiency.decoder``.

For each side of an image: milliseconds an image where so many of a batch are decoded together, in turns, and
what the sampler does. A decoder's activations are many times its images: on a CPU they leave the caches long
before a batch is whole.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from benchmarks.efficiency.command_line import without_traceback
from benchmarks.efficiency.device import device_name
from benchmarks.efficiency.timing import seconds_of
from lumina_eval.console import plain
from lumina_eval.errors import UserError
from lumina_eval.models import device_kind
from lumina_model import embedded
from lumina_model.autoencoder import AT_ONCE, AT_ONCE_ELSEWHERE, Autoencoder
from lumina_model.checkpoint import read_autoencoder


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time every size, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256], help="of the image in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="of torch")
    given = parser.parse_args(arguments)
    if given.batch < 1 or given.repeats < 1:
        raise UserError(
            f"expected batch and repeats of 1 or more, found {given.batch} and {given.repeats}; "
            "fix: --batch 16 --repeats 5"
        )
    if given.threads is not None and given.threads < 1:
        raise UserError(f"expected --threads of 1 or more, found {given.threads}; fix: leave it out")
    if given.threads:
        torch.set_num_threads(given.threads)
    device = torch.device(device_kind(given.device))
    autoencoder = read_autoencoder(embedded.parts("hq_tuning")["vae"], torch.float32)
    for side in given.sides:
        if side < 1 or side % autoencoder.factor:
            raise UserError(
                f"expected sides divisible by {autoencoder.factor}, found {side}; fix: --sides 64 128 256"
            )
    autoencoder.vae.to(device, memory_format=torch.channels_last)
    console = plain(width=130)
    console.print(f"{device_name(given.device)}; batch {given.batch}; milliseconds an image")
    console.print(_table(autoencoder, given.sides, given.batch, given.repeats))


def _table(autoencoder: Autoencoder, sides: Sequence[int], batch: int, repeats: int) -> Table:
    """A row for each side: milliseconds an image, by how many are decoded together."""
    sizes = sorted({min(1 << power, batch) for power in range((batch - 1).bit_length() + 1)})
    device = autoencoder.vae.device
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("side", *(f"{size} at once" for size in sizes), "ours", "faster than whole"):
        table.add_column(column, justify="right")
    for side in sides:
        latent = side // autoencoder.factor
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(batch, autoencoder.channels, latent, latent, generator=generator).to(device)
        calls = [functools.partial(_in_parts, autoencoder, latents, size) for size in sizes]
        rounds = [[seconds_of(call, device.type) for call in calls] for _ in range(repeats + 1)]
        found = np.median(np.array(rounds[1:]), axis=0) / batch  # the first one warms up
        ours = max(1, AT_ONCE.get(device.type, AT_ONCE_ELSEWHERE) // side**2)
        chosen = found[max(i for i, size in enumerate(sizes) if size <= ours)]
        table.add_row(
            str(side), *(f"{1000 * seconds:.1f}" for seconds in found), str(min(ours, batch)),
            f"{found[-1] / chosen:.2f}x",
        )  # fmt: skip
    return table


@torch.inference_mode()
def _in_parts(autoencoder: Autoencoder, latents: Tensor, size: int) -> None:
    for part in torch.split(latents, size):
        autoencoder.decode_values(part)


if __name__ == "__main__":
    main()
