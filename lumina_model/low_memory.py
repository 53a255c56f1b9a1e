"""Less memory for more time: one part at a time, and of the transformer one layer at a time.

The text encoder is read when texts are encoded and dropped after; on an accelerator the transformer stays in
the computer's memory and each layer visits the device when it runs (Accelerate does it); the autoencoder
decodes large images in overlapping tiles (diffusers does it), whose seams differ a little from the whole.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lumina_model.checkpoint import read_text_encoder
from lumina_model.text_encoder import TextEncoder


class TextEncoderOnDemand(TextEncoder):
    """Has no weights but while it encodes."""

    def __init__(self, folder: Path, tokenizer: Path, dtype: torch.dtype, device: torch.device):
        self._source = (folder, tokenizer, dtype)
        self._device = device
        self.dim = int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"])

    def encode(self, texts: Sequence[str], pad_to: int | None = None) -> tuple[Tensor, Tensor]:
        """As `TextEncoder.encode`."""
        encoder = read_text_encoder(*self._source)
        encoder.model.to(self._device)
        return encoder.encode(texts, pad_to)


def offload_layers(module: nn.Module, device: torch.device) -> None:
    """Let each layer's weights visit the device only while it runs; on the CPU there is nothing to do."""
    if device.type == "cpu":
        return
    from accelerate import cpu_offload

    cpu_offload(module, execution_device=device)
