"""The judge of whole sets: it looks at each image by itself, and keeps what an extractor makes of it.

What a set is worth follows from all rows together and is the rules' business, so a metric can be added or
changed without looking at an image again. Only a CLIP-score is a matter of one image and its prompt, and is
there as a cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks.fidelity.features.extractor import Extractor, TextExtractor
from benchmarks.fidelity.features.opening import open_extractor, open_text_extractor
from benchmarks.fidelity.features.pictures import pixel_key
from benchmarks.fidelity.features.store import FeatureStore
from benchmarks.fidelity.metrics.clip_score import cosines
from benchmarks.fidelity.options import ROLE_OF, Options, Role
from benchmarks.fidelity.rows import Rows, output_of
from lumina_eval.digests import digest_of
from lumina_eval.records import Item


class FeatureJudge:
    """Rows of features for each image, and cosines with its prompt where the protocol asks for them."""

    kind: Literal["set"] = "set"
    name = "fidelity"

    def __init__(self, options: Options, features: Path | None = None) -> None:
        """Take a protocol's options; ``features`` is a folder in which rows are kept between runs."""
        self._options, self._features = options, features
        self._stores: dict[str, FeatureStore] = {}
        self._reads = [name for name in options.metrics if name.startswith("clip_score")]

    @cached_property
    def _extractors(self) -> dict[Role, Extractor]:
        made: dict[Role, Extractor] = {}
        for role, words in self._options.extractors.items():
            reads = any(ROLE_OF[name] == role for name in self._reads)
            opener = open_text_extractor if reads else open_extractor
            options = self._options
            made[role] = opener(words, options.prefix, options.device, options.batch_size)
        return made

    @property
    def digest(self) -> str:
        """Of the extractors."""
        return digest_of({role: extractor.digest for role, extractor in self._extractors.items()})

    @property
    def settings(self) -> Mapping[str, Any]:
        """Names of the extractors, and the prefix of the texts, which their digests know too."""
        found = {str(role): extractor.name for role, extractor in self._extractors.items()}
        return {**found, "prefix": self._options.prefix} if self._reads else found

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return ``extractors`` and ``rows`` (see ``rows.py``) for each image, and its cosines."""
        by_digest = {extractor.digest: extractor for extractor in self._extractors.values()}
        rows = {digest: self._rows(extractor, images) for digest, extractor in by_digest.items()}
        digests = {str(role): extractor.digest for role, extractor in self._extractors.items()}
        outputs = [
            output_of(digests, {digest: found[place] for digest, found in rows.items()})
            for place in range(len(images))
        ]
        if self._reads:
            reader = self._extractors["clip"]
            assert isinstance(reader, TextExtractor)
            self._read(outputs, items, rows[reader.digest], reader)
        return outputs

    def _read(
        self, outputs: list[dict[str, Any]], items: Sequence[Item], rows: Rows, reader: TextExtractor
    ) -> None:
        """Add the cosine with the prompt, and with the wrong caption where the item has one.

        ``cut`` is there, and true, where the prompt is longer than what the extractor reads.
        """
        prompts = [item.prompt for item in items]
        for place in reader.too_long(prompts):
            outputs[place]["cut"] = True
        right = reader.texts(prompts)
        for output, value in zip(outputs, cosines(rows, right), strict=True):
            output["cosine"] = float(value)
        places = [place for place, item in enumerate(items) if wrong_caption(item) is not None]
        if places and "clip_score_gap" in self._reads:
            wrong = reader.texts([str(wrong_caption(items[place])) for place in places])
            for place, value in zip(places, cosines(rows[places], wrong), strict=True):
                outputs[place]["wrong_cosine"] = float(value)

    def _rows(self, extractor: Extractor, images: Sequence[Image.Image]) -> Rows:
        """Return the rows of the images, those that the feature folder knows from there."""
        if self._features is None:
            return extractor.images(images)
        if extractor.digest not in self._stores:  # to open one is to read all its keys
            self._stores[extractor.digest] = FeatureStore(self._features, extractor.digest, extractor.width)
        store = self._stores[extractor.digest]
        keys = [pixel_key(image) for image in images]
        new = {key: place for place, key in enumerate(keys) if key not in store}
        if new:
            store.add(list(new), extractor.images([images[place] for place in new.values()]))
        return np.asarray(store.rows(keys), dtype=np.float32)


def wrong_caption(item: Item) -> str | None:
    """Return the caption of another prompt that the item carries, None if it has none."""
    metadata = item.metadata if isinstance(item.metadata, Mapping) else {}
    found = metadata.get("wrong_caption")
    return None if found is None else str(found)
