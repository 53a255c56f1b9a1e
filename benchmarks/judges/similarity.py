"""How alike are an image and a text? The cosine of their CLIP features, by open_clip.

The facts are those of CLIPScore_eval/CLIP_similarity.py in Karine-Huang/T2I-CompBench at 1b709499, with
OpenAI's ViT-B/32; the code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from PIL import Image

from benchmarks.judges.clip_model import ClipModel
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError

#: Raised when the same image and text get another number.
VERSION: Final = 1


class ClipSimilarity:
    """Cosines of CLIP features in float32 (the official code has float16 on a GPU)."""

    name = "clip"

    def __init__(self, model: str, device: str = "auto", batch_size: int = 32) -> None:
        """Check ``model``: ``NAME/TAG`` of open_clip, a folder in its form, or OpenAI's ``ViT-B-32.pt``.

        The official name stands for the fetched ``clip-vit-b-32``. Raises UserError as :class:`ClipModel`.
        """
        self._clip = ClipModel(model, device_of(device))
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights and of the version of this file's procedure."""
        return digest_of({"similarity": self.name, "version": VERSION, "weights": self._clip.weights})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the numbers are computed in."""
        return {"dtype": "float32", "device": self._clip.device.partition(":")[0]}

    def similarities(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """Return the cosine of each image and its text, -1 to 1: neither scaled nor cut at 0.

        Raises UserError for a text of more tokens than the model reads (77), as the official code does, and
        ValueError unless there is one text to each image.
        """
        import torch

        if len(images) != len(texts):
            raise ValueError(f"expected one text to each image, found {len(images)} and {len(texts)}")
        model, preprocess, tokenizer = self._clip.loaded
        found: list[float] = []
        with full_float32():
            for start in range(0, len(texts), self._batch_size):
                part = slice(start, start + self._batch_size)
                pixels = torch.stack([preprocess(image.convert("RGB")) for image in images[part]])
                tokens = torch.stack([_tokens(tokenizer, text) for text in texts[part]])
                seen = model.encode_image(pixels.to(self._clip.device))
                read = model.encode_text(tokens.to(self._clip.device))
                cosines = torch.nn.functional.cosine_similarity(seen.float(), read.float())
                found += [min(1.0, max(-1.0, value)) for value in cosines.tolist()]  # rounding may pass 1
        return found


def _tokens(tokenizer: Any, text: str) -> Any:
    """Return the tokens of a text, padded [context length]; open_clip itself cuts a long one silently."""
    most: int = tokenizer.context_length
    length = len(tokenizer.encode(text)) + 2  # its start and its end
    if length > most:
        raise UserError(
            f"expected a text of at most {most} tokens for CLIP, found {length}: {text[:60]!r}…; "
            "fix: shorten the prompt (the official code ends here too)"
        )
    return tokenizer([text])[0]
