"""An extractor for each chain that ends in the Inception network of FID, with the pinned weights.

Two conversions of the same weights are in use: clean-fid's chains take NVIDIA's TorchScript file, all others
pytorch-fid's state dict. Each is checked whole before it is opened, and no pickle in it is run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.fidelity.features.resizing import Chain, Network, find_chain
from benchmarks.judges.precision import full_float32
from lumina_eval.assets.catalogue import read_assets
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.models import device_kind

if TYPE_CHECKING:
    from torch import Tensor

#: Raised when the same image gets another row.
VERSION: Final = 1
#: Which asset of ``assets.toml`` holds the weights.
ASSETS: Final[dict[Network, str]] = {
    "torchscript": "fid-inception-torchscript",
    "state_dict": "fid-inception",
}
DECLARATION: Final = Path(__file__).parents[1] / "assets.toml"
#: Numbers in a row of each output.
WIDTHS: Final = {"pool3": 2048, "logits": 1008, "logits_unbiased": 1008}

Output = Literal["pool3", "logits", "logits_unbiased"]
"""Features of FID and KID; classes; classes without the last bias, as torch-fidelity's Inception Score."""

_Forward = Callable[["Tensor"], "Tensor"]


class InceptionExtractor:
    """One chain with its weights. Two extractors with the same digest give the same rows up to rounding."""

    def __init__(
        self,
        chain: Chain,
        weights: Path,
        weights_sha256: str,
        output: Output = "pool3",
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        """Take weights that were checked; they are loaded when the first image comes.

        The TorchScript network offers ``pool3`` alone. Its file must be called ``inception-2015-12-05.pt``.
        """
        if chain.network == "torchscript" and output != "pool3":
            raise UserError(
                f"expected a chain with classes for {output}, found {chain.name}; fix: take torch_fidelity"
            )
        self.name = chain.name if output == "pool3" else f"{chain.name}/{output}"
        self.width = WIDTHS[output]
        self._chain, self._weights, self._sha256, self._output = chain, weights, weights_sha256, output
        self._device, self._batch_size = device, batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of chain, output, weights and the version of this file's procedure."""
        return digest_of(
            {
                "extractor": "inception",
                "chain": self._chain.name,
                "output": self._output,
                "version": VERSION,
                "weights": self._sha256,
            }
        )

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return a row for each RGB image of any size, (N, ``width``)."""
        import torch

        rows = np.empty((len(images), self.width), dtype=np.float32)
        done = 0
        for batch in self._batches(images):
            with full_float32():
                found = self._forward(torch.stack(batch).to(self._device))
            rows[done : done + len(batch)] = found.cpu().numpy()
            done += len(batch)
        return rows

    def _batches(self, images: Sequence[Image.Image]) -> Iterator[list[Tensor]]:
        """Yield prepared neighbours of one size; a chain that resizes itself leaves them as they come."""
        batch: list[Tensor] = []
        with ThreadPoolExecutor() as threads:  # Pillow and torch let other threads run while they resize
            for prepared in threads.map(self._chain.prepare, images):
                if batch and (len(batch) == self._batch_size or batch[0].shape != prepared.shape):
                    yield batch
                    batch = []
                batch.append(prepared)
        if batch:
            yield batch

    @cached_property
    def _forward(self) -> _Forward:
        if self._chain.network == "torchscript":
            return _open_torchscript(self._weights, self._chain.resizes_inside, self._device)
        return _open_state_dict(self._weights, self._output, self._device)


def open_inception(
    chain: str,
    output: Output = "pool3",
    device: str = "auto",
    batch_size: int = 32,
    declaration: Path = DECLARATION,
) -> InceptionExtractor:
    """Return the extractor of a chain, with the weights that ``declaration`` pins and ``data fetch`` brought.

    Raises UserError for an unknown chain, and where the weights are not there (naming the file, and the
    command that brings it) or not those that are pinned.
    """
    found = find_chain(chain)
    weights, sha256 = _pinned(declaration, ASSETS[found.network])
    return InceptionExtractor(found, weights, sha256, output, device_kind(device), batch_size)


def _pinned(declaration: Path, name: str) -> tuple[Path, str]:
    """Return the only file of an asset and its sum, after reading it whole."""
    asset = read_assets(declaration)[name]
    (file,) = asset.files
    path = asset.folder / file.name
    if file.sha256 is None:
        raise UserError(f"expected a sha256 for {name} in {declaration}, found none; fix: pin it")
    if not path.is_file():
        raise UserError(
            f"expected {asset.what} ({file.name}) in {asset.folder}, found none; "
            f"fix: lumina-eval data fetch {name}"
        )
    problem = file.problem(path)
    if problem is not None:
        raise UserError(f"{problem}, in {path}; fix: delete it and run lumina-eval data fetch {name}")
    return path, file.sha256


def _open_torchscript(weights: Path, resizes_inside: bool, device: str) -> _Forward:
    from cleanfid.inception_torchscript import InceptionV3W

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would rather see other files than TorchScript
        network = InceptionV3W(str(weights.parent), download=False, resize_inside=resizes_inside)
    forward: _Forward = network.to(device).eval()
    return forward


def _open_state_dict(weights: Path, output: Output, device: str) -> _Forward:
    import torch

    from benchmarks.fidelity.features.inception_network import FidInception

    network = FidInception()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    head, network.fc = network.fc, torch.nn.Identity()
    network, head = network.to(device).eval(), head.to(device).eval()
    if output == "pool3":
        forward: _Forward = network
        return forward
    bias = head.bias if output == "logits" else None
    return lambda inputs: torch.nn.functional.linear(network(inputs), head.weight, bias)
