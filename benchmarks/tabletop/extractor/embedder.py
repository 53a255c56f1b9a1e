"""The extractor at work: pictures and captions of the embedded world to rows in one space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.judges.precision import full_float32
from benchmarks.tabletop.extractor.tokenizer import CONTEXT
from benchmarks.tabletop.extractor.weights import FILES, SUMS, weights_folder
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Raised when the same picture or caption gets another row.
VERSION: Final = 1
#: Numbers are the same to the last bits for any batch size; this one is quick.
BATCH: Final = 64

Rows = npt.NDArray[np.float32]


class TabletopEmbedder:
    """The embedded CLIP, or another of its form, in float32 on the CPU; loaded when first needed."""

    def __init__(self, folder: Path | None = None, prefix: str = "") -> None:
        """Take the weights of the package, or those in ``folder``; ``prefix`` is put before every text.

        Raises UserError if the weights are not what their checksums say.
        """
        self._folder = weights_folder() if folder is None else weights_folder(folder)
        self._prefix = prefix
        self.name = "tabletop" if folder is None else f"tabletop:{folder.name}"

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights, prefix and the version of this file."""
        weights = [[name, sha256_file(self._folder / name)] for name in (*FILES, SUMS)]
        return digest_of(
            {"extractor": "tabletop", "version": VERSION, "prefix": self._prefix, "weights": weights}
        )

    @cached_property
    def width(self) -> int:
        """Numbers in a row. Loads the model."""
        model, _, _ = self._loaded
        return int(model.visual.output_dim)

    def images(self, images: Sequence[Image.Image]) -> Rows:
        """Return a row for each RGB picture of any size, (N, width)."""
        import torch

        model, look, _ = self._loaded
        parts = [np.empty((0, self.width), dtype=np.float32)]
        with full_float32():
            for start in range(0, len(images), BATCH):
                batch = torch.stack([look(image) for image in images[start : start + BATCH]])
                parts.append(model.encode_image(batch).numpy())
        return np.concatenate(parts)

    def texts(self, texts: Sequence[str]) -> Rows:
        """Return a row for each text, (N, width); what is longer than 26 words is cut."""
        model, _, tokenizer = self._loaded
        parts = [np.empty((0, self.width), dtype=np.float32)]
        with full_float32():
            for start in range(0, len(texts), BATCH):
                batch = [self._prefix + text for text in texts[start : start + BATCH]]
                parts.append(model.encode_text(tokenizer(batch)).numpy())
        return np.concatenate(parts)

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the places of the texts that are cut."""
        _, _, tokenizer = self._loaded
        most = CONTEXT - 2  # its beginning and its end
        # open_clip's wrapper pads and cuts; the tokenizer in it does neither of itself.
        whole = [self._prefix + text for text in texts]
        ids = tokenizer.tokenizer(whole, add_special_tokens=False, verbose=False)
        return [place for place, words in enumerate(ids["input_ids"]) if len(words) > most]

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        import open_clip

        name = f"local-dir:{self._folder}"
        try:
            model, look = open_clip.create_model_from_pretrained(name, precision="fp32")
            return model.eval(), look, open_clip.get_tokenizer(name)
        except Exception as error:  # open_clip has many ways to say that a model does not load
            raise UserError(
                f"expected a CLIP in open_clip's form in {self._folder}, found none that loads: "
                f"{first_line(error)}; fix: train it with lumina-eval tabletop extractor"
            ) from error
