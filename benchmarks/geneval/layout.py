"""Images written in the official layout, for the official scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks.geneval.prompts import to_jsonl
from lumina_eval.records import Item


def write_images(folder: Path, images: Iterable[tuple[Item, int, Path]]) -> None:
    """Write ``00017/samples/0002.png`` beside ``00017/metadata.jsonl``, the number being the prompt's place.

    The metadata object is the official line without a line end, as the official script writes it
    (generation/diffusers_generate.py, 127 to 128 at af4902f2); samples have four digits as in the official
    README.
    """
    for item, index, path in images:
        place = folder / item.id
        (place / "samples").mkdir(parents=True, exist_ok=True)
        (place / "metadata.jsonl").write_bytes(to_jsonl([item.metadata]).rstrip("\n").encode())
        shutil.copyfile(path, place / "samples" / f"{index:04d}.png")
