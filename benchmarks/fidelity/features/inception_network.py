"""The Inception network of FID, for the state dict that pytorch-fid and torch-fidelity publish.

torchvision's Inception v3 but for the pooling branches: averages leave the padding out, and the last block
takes the maximum, as TensorFlow's network of 2015-12-05 does (pytorch-fid 0.3.0, ``inception.py``).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

#: Features before the last layer, and classes after it: ImageNet's 1000 and eight that TensorFlow kept free.
FEATURES: Final = 2048
CLASSES: Final = 1008

_average = partial(avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
_maximum = partial(max_pool2d, kernel_size=3, stride=1, padding=1)


class _BlockA(InceptionA):  # type: ignore[misc]
    def _forward(self, inputs: Tensor) -> list[Tensor]:
        return [*super()._forward(inputs)[:-1], self.branch_pool(_average(inputs))]


class _BlockC(InceptionC):  # type: ignore[misc]
    def _forward(self, inputs: Tensor) -> list[Tensor]:
        return [*super()._forward(inputs)[:-1], self.branch_pool(_average(inputs))]


class _BlockE(InceptionE):  # type: ignore[misc]
    """The two last blocks; the second, with as many channels as there are features, takes the maximum."""

    def __init__(self, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels, **options)
        self._pool = _maximum if in_channels == FEATURES else _average

    def _forward(self, inputs: Tensor) -> list[Tensor]:
        return [*super()._forward(inputs)[:-1], self.branch_pool(self._pool(inputs))]


class FidInception(Inception3):  # type: ignore[misc]
    """Images (N, 3, 299, 299), -1 to 1, to logits (N, 1008), or without its ``fc`` to features (N, 2048)."""

    def __init__(self) -> None:
        super().__init__(
            num_classes=CLASSES,
            aux_logits=False,
            init_weights=False,
            inception_blocks=[
                BasicConv2d, _BlockA, InceptionB, _BlockC, InceptionD, _BlockE, InceptionAux,
            ],
        )  # fmt: skip
