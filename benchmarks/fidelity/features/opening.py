"""Extractors by the words of a protocol: ``SCHEME:SPEC`` as people write them.

``tabletop`` (the embedded world's own CLIP; ``tabletop:FOLDER`` for another of its form),
``inception:CHAIN`` (``inception:CHAIN/logits_unbiased``: its classes), ``clip:MODEL`` (a folder in
open_clip's form or an official name), ``cmmd:MODEL`` (the same, looking at an image as CMMD does),
``dinov2:FOLDER`` (``dinov2`` alone: the pinned weights).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final, cast, get_args

from benchmarks.fidelity.features.extractor import Extractor, TextExtractor
from lumina_eval.assets.catalogue import locate
from lumina_eval.errors import UserError, unknown

SCHEMES: Final = ("tabletop", "inception", "clip", "cmmd", "dinov2")


@functools.cache
def open_extractor(words: str, prefix: str = "", device: str = "auto", batch_size: int = 32) -> Extractor:
    """Return the extractor that ``words`` name; the same object for the same words.

    ``prefix`` is put before every text, where it reads texts.

    Raises UserError for a scheme that there is not, and where weights are missing.
    """
    scheme, _, spec = words.partition(":")
    match scheme:
        case "tabletop":
            from benchmarks.tabletop.extractor.embedder import TabletopEmbedder

            return TabletopEmbedder(Path(spec) if spec else None, prefix)
        case "inception":
            from benchmarks.fidelity.features.inception import Output, open_inception

            chain, _, output = spec.partition("/")
            if output and output not in get_args(Output):
                raise unknown(f"output of {scheme}:{chain}", output, get_args(Output))
            wanted = cast(Output, output or "pool3")
            return open_inception(chain or "clean", wanted, device, batch_size)
        case "clip" | "cmmd":
            from benchmarks.fidelity.features.embedders import CLIP_FID, CMMD, ClipEmbedder

            if scheme == "clip":
                return ClipEmbedder(spec or CLIP_FID, "clip", prefix, device, batch_size)
            return ClipEmbedder(spec or CMMD, "cmmd", prefix, device, batch_size, "judge.cmmd")
        case "dinov2":
            from benchmarks.fidelity.features.embedders import Dinov2Embedder

            folder = Path(spec) if spec else locate("dinov2-vit-l-14")
            if not (folder / "config.json").is_file():
                raise UserError(
                    f"expected DINOv2 (config.json, model.safetensors) in a folder, found none at {folder}; "
                    "fix: lumina-eval data fetch dinov2-vit-l-14, and --set judge.dinov2=dinov2"
                )
            return Dinov2Embedder(folder, device, batch_size)
    raise unknown("extractor", scheme, SCHEMES)


def open_text_extractor(
    words: str, prefix: str = "", device: str = "auto", batch_size: int = 32
) -> TextExtractor:
    """Return an extractor that reads texts too; UserError if the one that ``words`` name does not."""
    found = open_extractor(words, prefix, device, batch_size)
    if not isinstance(found, TextExtractor):
        raise UserError(
            f"expected an extractor of images and texts, found {words}; fix: take a CLIP, as clip:MODEL"
        )
    return found
