"""Features of captions, each computed once: the text encoder is frozen and captions come back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lumina_model.text_encoder import TextEncoder

ROWS = 32  # texts are encoded in batches of one shape, so that a feature does not depend on its company


class CaptionFeatures:
    """A text encoder that remembers what it has read, up to ``budget`` bytes of features."""

    def __init__(self, encoder: TextEncoder, *, tokens: int, budget: int) -> None:
        """Read captions of at most ``tokens`` tokens."""
        self._encoder, self._tokens, self._budget = encoder, tokens, budget
        self._kept: dict[str, Tensor] = {}

    def __call__(self, texts: Sequence[str], multiple: int) -> tuple[Tensor, Tensor]:
        """Return features (B, T, F) and mask (B, T) bool on the CPU; T is a multiple of ``multiple``."""
        found = {text: self._kept[text] for text in texts if text in self._kept}
        unseen = list(dict.fromkeys(text for text in texts if text not in found))
        for start in range(0, len(unseen), ROWS):
            chunk = unseen[start : start + ROWS]
            for text, features in zip(chunk, self._encode(chunk), strict=True):
                found[text] = features
                if self._budget > 0:
                    self._kept[text] = features
                    self._budget -= features.nbytes
        rows = [found[text] for text in texts]
        length = -(-max(len(row) for row in rows) // multiple) * multiple
        features = rows[0].new_zeros(len(rows), length, rows[0].shape[-1])  # (B, T, F)
        mask = torch.zeros(len(rows), length, dtype=torch.bool)  # (B, T)
        for i, row in enumerate(rows):
            features[i, : len(row)] = row
            mask[i, : len(row)] = True
        return features, mask

    def _encode(self, texts: Sequence[str]) -> list[Tensor]:
        filled = [*texts, *[""] * (ROWS - len(texts))]
        features, mask = (y.cpu() for y in self._encoder.encode(filled, self._tokens))
        return [row[kept].clone() for row, kept in zip(features, mask, strict=True)][: len(texts)]
