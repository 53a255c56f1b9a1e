"""What colour is this object? GenEval's zero-shot classifier on CLIP, by open_clip.

The facts are those of djghosh13/geneval at af4902f2 (evaluation/evaluate_images.py, 57 to 127) and of
CLIP_benchmark 1.4.0 (``zero_shot_classifier``); the code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from PIL import Image

from benchmarks.judges.clip_model import ClipModel
from benchmarks.judges.detectors.detection import Box, Detection
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of

#: Raised whenever the same weights and settings give other colours.
VERSION: Final = 1
#: The official model. open_clip 2.29 and later build plain ``ViT-L-14`` with another activation than OpenAI's
#: weights were trained with, and say so in a warning only.
OFFICIAL: Final = "ViT-L-14-quickgelu/openai"
#: The texts whose mean stands for a colour (evaluate_images.py, 103 to 108).
TEMPLATES: Final = (
    "a photo of a {color} {name}",
    "a photo of a {color}-colored {name}",
    "a photo of a {color} object",
)
#: What stands around an object that has a mask (``--options bgcolor``, default).
BACKGROUND: Final = (153, 153, 153)
#: Factor of the cosines before the largest is taken.
SCALE: Final = 100.0


class ColorClassifier:
    """Names one of ``colors`` for each object, in float32."""

    name = "clip-colors"

    def __init__(
        self, weights: str, colors: Sequence[str], device: str = "auto", batch_size: int = 16
    ) -> None:
        """Check ``weights``: ``NAME/TAG`` of open_clip, a folder in its form, or OpenAI's ``ViT-L-14.pt``.

        The official name stands for the fetched ``clip-vit-l-14``.

        Raises UserError if there is nothing of the kind; the weights are loaded when the first object comes.
        """
        self._clip = ClipModel(weights, device_of(device), "judge.colors", OFFICIAL)
        self._colors = tuple(colors)
        self._batch_size = batch_size
        self._weights_of: dict[str, Any] = {}

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights, the colours and the version of this file's procedure."""
        return digest_of({"colors": self._colors, "version": VERSION, "weights": self._clip.weights})

    @property
    def settings(self) -> Mapping[str, Any]:
        """The texts, the background, and what is computed in."""
        return {
            "templates": list(TEMPLATES),
            "background": list(BACKGROUND),
            "dtype": "float32",
            "device": self._clip.device.partition(":")[0],
        }

    def classify(self, crops: Sequence[Image.Image], names: Sequence[str]) -> list[str]:
        """Return the colour of each picture of one object, whose class is ``names[i]``; first of a tie."""
        import torch

        model, preprocess, _ = self._clip.loaded
        found: list[str] = []
        for start in range(0, len(crops), self._batch_size):
            part = slice(start, start + self._batch_size)
            with full_float32():
                pixels = torch.stack([preprocess(crop) for crop in crops[part]]).to(self._clip.device)
                seen = torch.nn.functional.normalize(model.encode_image(pixels).float(), dim=-1)
                weights = torch.stack([self._text_weights(name) for name in names[part]])
                logits = SCALE * torch.einsum("nd,ndc->nc", seen, weights)
                found += [self._colors[index] for index in logits.argmax(dim=1).tolist()]
        return found

    def _text_weights(self, name: str) -> Any:
        """Return the weights of a class, [features, colours]: unit means of its texts' unit features."""
        import torch

        if name not in self._weights_of:
            model, _, tokenizer = self._clip.loaded
            columns = []
            for color in self._colors:
                texts = [template.format(color=color, name=name) for template in TEMPLATES]
                read = model.encode_text(tokenizer(texts).to(self._clip.device)).float()
                mean = torch.nn.functional.normalize(read, dim=-1).mean(dim=0)
                columns.append(mean / mean.norm())
            self._weights_of[name] = torch.stack(columns, dim=1)
        return self._weights_of[name]


def crop_of(image: Image.Image, found: Detection) -> Image.Image:
    """Return the picture of one object: all that is not its mask is grey, then cut to its box.

    The box is rounded half to even, as Pillow does. An object of no width or height, on which the official
    code ends, is one pixel wide or high.
    """
    if found.mask is not None:
        grey = Image.new("RGB", image.size, BACKGROUND)
        image = Image.composite(image, grey, Image.fromarray(found.mask))
    return image.crop(_rounded(found.box))


def _rounded(box: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(value) for value in box)
    return left, top, max(right, left + 1), max(bottom, top + 1)
