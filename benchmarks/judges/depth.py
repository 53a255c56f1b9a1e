"""How near is each pixel? A depth map by DPT, kept as the 8-bit picture that the official scripts make of it.

The facts are those of UniDet_eval/3D_spatial_eval.py (165 to 205) and experts/model_bank_3d.py (12 to 25) in
Karine-Huang/T2I-CompBench at 1b709499; the code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.judges.loading import load_model
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.digests import digest_of

#: Raised when the same image gets another map.
VERSION: Final = 1
#: Side of the square that the network sees, whatever the image's; in pixels.
SIZE: Final = 480
MEAN: Final = 0.5
STD: Final = 0.5
#: Parameters that published weights lack: transformers builds the first fusion layer like the others, and
#: gives it nothing to join.
UNUSED: Final = tuple(
    f"fusion_stage.layers.0.residual_layer1.convolution{number}.{part}"
    for number in (1, 2)
    for part in ("weight", "bias")
)


class DptDepth:
    """DPT from transformers, in float32 (the official code runs with float16 in part)."""

    name = "dpt"

    def __init__(self, weights: str | Path, device: str = "auto", batch_size: int = 8) -> None:
        """Find the weights; they are loaded when the first image comes.

        Raises UserError if they are not there.
        """
        self._folder = find_weights(str(weights), "DPT for depth")
        self._device = device_of(device)
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights and configuration, and of the version of this file's procedure."""
        return digest_of({"depth": self.name, "version": VERSION, "weights": weights_digest(self._folder)})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the image becomes, and what is computed in."""
        return {"image_size": SIZE, "dtype": "float32", "device": self._device.partition(":")[0]}

    def depth_pictures(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return a picture of mode L for each image, of its size: 255 is nearest, 0 farthest."""
        import torch

        found = []
        with full_float32():
            for start in range(0, len(images), self._batch_size):
                batch = images[start : start + self._batch_size]
                pixels = torch.from_numpy(np.stack([pixels_of(image) for image in batch]))
                maps = self._model(pixel_values=pixels.to(self._device)).predicted_depth.float().cpu()
                found += [picture_of(one.numpy(), image.size) for one, image in zip(maps, batch, strict=True)]
        return found

    @cached_property
    def _model(self) -> Any:
        from transformers import DPTForDepthEstimation

        model = load_model(DPTForDepthEstimation, self._folder, "DPT for depth", UNUSED)
        if model.config.is_hybrid:
            # The weights are for 384. transformers refuses any other size here, though it does interpolate
            # the positions as the official code (experts/depth/vit.py, 148 to 166).
            model.dpt.embeddings.image_size = (SIZE, SIZE)
        return model.to(self._device)


def pixels_of(image: Image.Image) -> npt.NDArray[np.float32]:
    """Return what the network sees: [3, SIZE, SIZE], -1 to 1, without regard to the image's proportions."""
    small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    values = np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    return (values - np.float32(MEAN)) / np.float32(STD)


def picture_of(depth: npt.NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Return a depth map [row, column] as a picture of mode L with ``size`` (width, height).

    Its own least and largest become 0 and 255, then it is stretched (bilinear, corners on corners) and the
    fractions are cut off. A map without any depth, where the official code divides by 0, is 0 everywhere.
    """
    import torch

    low, high = depth.min(), depth.max()
    spread = (depth - low) / (high - low) if high > low else np.zeros_like(depth)
    wide = torch.nn.functional.interpolate(
        torch.from_numpy(spread)[None, None], size=(size[1], size[0]), mode="bilinear", align_corners=True
    )
    return Image.fromarray((wide[0, 0] * 255).clamp(0, 255).numpy().astype(np.uint8))


def nearness_of(picture: Image.Image) -> npt.NDArray[np.float32]:
    """Return a depth picture as numbers [row, column], 0 (far) to 1 (near)."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
