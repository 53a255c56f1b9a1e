"""From image files to rows in a store: no picture is seen twice, on whichever side it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from benchmarks.fidelity.features.extractor import Extractor
from benchmarks.fidelity.features.pictures import Broken, BrokenPictureError, pixel_key, read_picture
from benchmarks.fidelity.features.store import FeatureStore
from lumina_eval.progress import Advance


@dataclasses.dataclass(frozen=True)
class Extracted:
    """What came of some files."""

    keys: tuple[str, ...]
    """``pixel_key`` of each file that could be read, in their order; equal pictures have equal keys."""
    broken: tuple[Broken, ...]
    """The files that could not; nothing stands in their place."""


def extract(
    paths: Sequence[Path],
    extractor: Extractor,
    store: FeatureStore,
    batch_size: int = 64,
    readers: int = 4,
    advance: Advance = lambda _: None,
) -> Extracted:
    """Bring the features of all files into ``store``, ``batch_size`` files at a time.

    ``readers`` threads decode and hash. ``advance`` is told how many files each step has done. A broken file
    stops nothing. After a kill the same call goes on: what was added is not seen again.
    """
    keys: list[str] = []
    broken: list[Broken] = []
    with ThreadPoolExecutor(readers) as threads:
        for part in _parts(paths, batch_size):
            new: dict[str, Image.Image] = {}
            for found in threads.map(lambda path: _look(path, store), part):
                if isinstance(found, Broken):
                    broken.append(found)
                    continue
                key, image = found
                keys.append(key)
                if image is not None:
                    new.setdefault(key, image)
            if new:
                store.add(list(new), extractor.images(list(new.values())))
            advance(len(part))
    return Extracted(tuple(keys), tuple(broken))


def _parts(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def _look(path: Path, store: FeatureStore) -> tuple[str, Image.Image | None] | Broken:
    """Return the key of a file's pixels, and its image unless the store knows it."""
    try:
        image = read_picture(path)
    except BrokenPictureError as error:
        return error.broken
    key = pixel_key(image)
    return key, None if key in store else image
