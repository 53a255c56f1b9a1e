"""From an RGB image to what the Inception network sees: the chain of each tool, on which FID hangs.

A chain is how an image gets to 299 x 299 pixels, how its numbers are scaled, and which conversion of the
Inception weights it is fed to. Sources: clean-fid 0.1.35 (``resize.py``, ``inception_torchscript.py``,
``features.py``), pytorch-fid 0.3.0 (``fid_score.py``, ``inception.py``), torch-fidelity 0.4.0
(``feature_extractor_inceptionv3.py``), torchmetrics 1.9.0 (``image/fid.py``, NoTrainInceptionV3),
boomb0om/text2image-benchmark at 532229f6 (``utils/resizers.py``), which publishes statistics for COCO-30k.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PIL import Image

from lumina_eval.errors import unknown

if TYPE_CHECKING:
    from torch import Tensor

#: Height and width that Inception was trained with.
SIZE: Final = 299

Network = Literal["torchscript", "state_dict"]
"""NVIDIA's conversion, which scales by itself, or that of pytorch-fid, which does not."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """How one tool looks at an image."""

    name: str
    prepare: Callable[[Image.Image], Tensor]
    """RGB image to the network's input, float32 (3, H, W), where only ``resizes_inside`` has not H = W = 299.

    The torchscript network takes 0 to 255, the other -1 to 1.
    """
    network: Network
    resizes_inside: bool = False


def find_chain(name: str) -> Chain:
    """Return the chain called ``name``; UserError if there is none."""
    if name not in CHAINS:
        raise unknown("chain", name, CHAINS)
    return CHAINS[name]


def middle_square(image: Image.Image) -> Image.Image:
    """Return the largest square in the middle; of an odd rest, the smaller half is left out before it."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def clean(image: Image.Image) -> Tensor:
    """Each channel for itself by Pillow's bicubic filter in floats: antialiased, never rounded to bytes."""
    import torch
    from cleanfid.resize import build_resizer

    resized = build_resizer("clean")(np.asarray(image))
    return torch.from_numpy(resized.transpose(2, 0, 1))


def legacy_tensorflow(image: Image.Image) -> Tensor:
    """As it is: the network resizes it, as TensorFlow 1 did."""
    return _pixels(image) / 255 * 255  # clean-fid's detour over 0 to 1 leaves its roundings


def legacy_pytorch(image: Image.Image) -> Tensor:
    """torch's bilinear without antialiasing on 0 to 255, cut there, then to -1 to 1."""
    return 2 * (_bilinear(_pixels(image)).clamp(0, 255) / 255) - 1


def pytorch_fid(image: Image.Image) -> Tensor:
    """The same on 0 to 1: other roundings."""
    return 2 * _bilinear(_pixels(image) / 255) - 1


def torch_fidelity(image: Image.Image) -> Tensor:
    """TensorFlow 1's bilinear: no antialiasing, and the grid begins in the corner of the first pixel."""
    return (_bilinear_of_tensorflow_1(_pixels(image)) - 128) / 128


def torchmetrics(image: Image.Image) -> Tensor:
    """torch's bilinear with antialiasing: the default of torchmetrics since 1.8.0."""
    return (_bilinear(_pixels(image), antialias=True) - 128) / 128


def text2image_benchmark(image: Image.Image) -> Tensor:
    """The middle square by Pillow's bicubic filter, in bytes; its code calls this clean, which it is not."""
    resized = middle_square(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return 2 * (_pixels(resized) / 255) - 1


#: Every chain, by the name that stands in protocols. Up to 1.7.4 torchmetrics did what torch-fidelity does.
CHAINS: Final = {
    chain.name: chain
    for chain in (
        Chain("clean", clean, "torchscript"),
        Chain("legacy_pytorch", legacy_pytorch, "state_dict"),
        Chain("legacy_tensorflow", legacy_tensorflow, "torchscript", resizes_inside=True),
        Chain("pytorch_fid", pytorch_fid, "state_dict"),
        Chain("torch_fidelity", torch_fidelity, "state_dict"),
        Chain("torchmetrics", torchmetrics, "state_dict"),
        Chain("torchmetrics_no_antialias", torch_fidelity, "state_dict"),
        Chain("text2image_benchmark", text2image_benchmark, "state_dict"),
    )
}


def _pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as float32, (3, H, W), 0 to 255."""
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def _bilinear(pixels: Tensor, **options: Any) -> Tensor:
    import torch

    resized = torch.nn.functional.interpolate(
        pixels[None], size=(SIZE, SIZE), mode="bilinear", align_corners=False, **options
    )
    return resized[0]


def _bilinear_of_tensorflow_1(pixels: Tensor) -> Tensor:
    """Resize by weights that begin at 0: output i lies at input i * size / 299, not at a pixel's middle."""
    for dimension in (2, 1):
        low, high, weight = _neighbours(pixels.shape[dimension])
        shape = [1, -1, 1] if dimension == 1 else [1, 1, -1]
        below = pixels.index_select(dimension, low)
        pixels = below + (pixels.index_select(dimension, high) - below) * weight.view(shape)
    return pixels


def _neighbours(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each output the input before it, the one after it, and the weight of the latter."""
    import torch

    places = torch.arange(SIZE, dtype=torch.float32) * torch.tensor(size / SIZE, dtype=torch.float32)
    low = places.long()
    return low, (low + 1).clamp_max(size - 1), places - low
