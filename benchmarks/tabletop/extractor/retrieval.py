"""How good is the extractor? Does it find the caption of a picture, and tell it from a wrong one?

On scenes that no training saw: their seed is another than that of any pool.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.tabletop.extractor.embedder import Rows, TabletopEmbedder
from benchmarks.tabletop.extractor.pool import draw
from benchmarks.tabletop.extractor.told import told
from benchmarks.tabletop.extractor.wrong_captions import KINDS

#: Seed of the scenes; trainings take small ones.
TEST_SEED: Final = 1_000_003


@dataclass(frozen=True)
class Found:
    """What was measured on ``scenes`` pictures with a caption each."""

    scenes: int
    first: float
    """Part of the pictures whose own caption has the highest cosine of all captions, or words like it."""
    first_ten: float
    """Part of those whose own caption is among the ten highest."""
    right: dict[str, tuple[float, int]]
    """Kind of wrong caption: part of the pairs in which the right one is higher, and how many pairs."""


def measure(embedder: TabletopEmbedder, scenes: int, seed: int = TEST_SEED) -> Found:
    """Measure on ``scenes`` pictures; the same numbers each time."""
    pool, rng = draw(seed, scenes), np.random.default_rng([seed, scenes])
    captions = [told(scene, rng, len(KINDS)) for scene in pool.scenes]
    seen = _of_length_one(embedder.images([Image.fromarray(picture) for picture in pool.pictures]))
    texts = [text for text, _ in captions]
    read = _of_length_one(embedder.texts(texts))
    cosines = seen @ read.T
    own = np.diagonal(cosines)
    above = (cosines > own[:, None]).sum(axis=1)
    pairs = [(place, kind, text) for place, (_, wrong) in enumerate(captions) for kind, text in wrong]
    others = _of_length_one(embedder.texts([text for _, _, text in pairs]))
    wins: defaultdict[str, list[bool]] = defaultdict(list)
    for (place, kind, _), row in zip(pairs, others, strict=True):
        wins[kind].append(bool(own[place] > seen[place] @ row))
    right = {kind: (float(np.mean(wins[kind])), len(wins[kind])) for kind in KINDS if wins[kind]}
    return Found(scenes, float((above < 1).mean()), float((above < 10).mean()), right)


def _of_length_one(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
