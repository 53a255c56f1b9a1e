"""ResNeSt: a residual network whose 3 x 3 convolutions are split in two, each channel weighing the halves.

Zhang et al., "ResNeSt: Split-Attention Networks" (2020), with radix 2 and one group. Parameters have the
names of the weights that UniDet's authors published. For evaluation only: no initial weights are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

#: Blocks of each stage, and width of the first two convolutions, of ResNeSt-200.
BLOCKS_200: Final = (3, 24, 36, 3)
STEM_200: Final = 64
#: Parts that a split convolution has.
RADIX: Final = 2
#: A block's output has so many times the channels of its inner convolution.
EXPANSION: Final = 4
#: Channels that decide on the weights: of the input, of both parts, one in four, and no fewer than 32.
REDUCTION: Final = 4
LEAST: Final = 32


class NormedConv(nn.Conv2d):
    """A convolution without bias, then batch normalisation, which is called ``norm``."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(into, out, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [n, out, h, w]."""
        found: torch.Tensor = self.norm(super().forward(pixels))
        return found


class SplitAttention(nn.Module):
    """A 3 x 3 convolution in two parts, whose sum is weighed channel by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels * RADIX // REDUCTION, LEAST)
        self.conv = nn.Conv2d(channels, channels * RADIX, 3, padding=1, groups=RADIX, bias=False)
        self.bn0 = nn.BatchNorm2d(channels * RADIX)
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.fc2 = nn.Conv2d(inner, channels * RADIX, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [n, channels, h, w]."""
        parts = _apart(functional.relu(self.bn0(self.conv(pixels))))
        whole = parts.sum(1).mean((2, 3), keepdim=True)
        weights = _apart(self.fc2(functional.relu(self.bn1(self.fc1(whole)))))
        return (weights.softmax(1) * parts).sum(1)


def _apart(joined: torch.Tensor) -> torch.Tensor:
    """Return [n, radix, channels, h, w] of [n, radix * channels, h, w]."""
    number, _, height, width = joined.shape
    return joined.reshape(number, RADIX, -1, height, width)


class Block(nn.Module):
    """Down, split, up; where it halves the picture, a mean of 3 x 3 does so, in the shortcut one of 2 x 2."""

    def __init__(self, into: int, inner: int, stride: int) -> None:
        super().__init__()
        out = inner * EXPANSION
        self.stride = stride
        self.conv1 = NormedConv(into, inner, 1)
        self.conv2 = SplitAttention(inner)
        self.conv3 = NormedConv(inner, out, 1)
        self.shortcut = NormedConv(into, out, 1) if into != out else None

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [n, 4 * inner, h / stride, w / stride], rounded up."""
        seen = self.conv2(functional.relu(self.conv1(pixels)))
        if self.stride > 1:
            seen = functional.avg_pool2d(seen, 3, self.stride, padding=1)
        if self.shortcut is not None:
            small = functional.avg_pool2d(
                pixels, self.stride, self.stride, ceil_mode=True, count_include_pad=False
            )
            pixels = self.shortcut(small)
        return functional.relu(self.conv3(seen) + pixels)


class Stem(nn.Module):
    """Three convolutions and a pooling: a quarter of height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1_1 = NormedConv(3, width, 3, stride=2)
        self.conv1_2 = NormedConv(width, width, 3)
        self.conv1_3 = NormedConv(width, 2 * width, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [n, 2 * width, h / 4, w / 4], rounded up."""
        for convolution in (self.conv1_1, self.conv1_2, self.conv1_3):
            pixels = functional.relu(convolution(pixels))
        return functional.max_pool2d(pixels, 3, 2, padding=1)


class ResNeSt(nn.Module):
    """Stem and four stages; what the last three see goes on to a feature pyramid."""

    def __init__(
        self, blocks: Sequence[int] = BLOCKS_200, stem_width: int = STEM_200, inner: int = 64, **more: Any
    ) -> None:
        super().__init__(**more)
        self.stem = Stem(stem_width)
        into = 2 * stem_width
        self.channels: dict[str, int] = {}
        for number, count in enumerate(blocks):
            width = inner * 2**number
            stage = []
            for place in range(count):
                stage.append(Block(into, width, 2 if number and not place else 1))
                into = width * EXPANSION
            name = f"res{number + 2}"
            self.add_module(name, nn.Sequential(*stage))
            if number:
                self.channels[name] = into

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the outputs ``res3`` to ``res5`` for [n, 3, h, w]: strides 8, 16 and 32."""
        seen = self.get_submodule("res2")(self.stem(pixels))
        found = {}
        for name in self.channels:
            seen = found[name] = self.get_submodule(name)(seen)
        return found
