"""Less memory for more time: the large parts are there only while they work.

The text encoder is read to encode the texts of a call and dropped; then the transformer is read to draw and
dropped, and on an accelerator it stays in the computer's memory while each layer's weights visit the device
when the layer runs (Accelerate does it). Images are drawn one after the other, and large ones are decoded in
overlapping tiles (diffusers does it), whose seams differ a little from the whole.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from lumina_model.next_dit import NextDiT
from lumina_model.text_encoder import TextEncoder

TILE = 512  # pixels, of the decoder; larger images are not decoded whole


@dataclass(frozen=True)
class Visitors:
    """The two large parts, each read when it is called for.

    Attributes:
        text_encoder: reads it, on the CPU.
        transformer: reads it, on the CPU.
        device: where both work.
    """

    text_encoder: Callable[[], TextEncoder]
    transformer: Callable[[], NextDiT]
    device: torch.device

    @contextlib.contextmanager
    def encoding(self) -> Iterator[TextEncoder]:
        """The text encoder, for as long as the context lasts."""
        encoder = self.text_encoder()
        encoder.model.to(self.device)
        yield encoder

    @contextlib.contextmanager
    def drawing(self) -> Iterator[NextDiT]:
        """The transformer, for as long as the context lasts."""
        model = self.transformer()
        if self.device.type != "cpu":
            offload_layers(model, self.device)
        yield model


def offload_layers(module: nn.Module, device: torch.device) -> None:
    """Keep the weights off the device; each layer's visit it only while it runs."""
    from accelerate import cpu_offload

    cpu_offload(module, execution_device=device)
