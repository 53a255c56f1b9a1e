"""An image in a file, or a part of a file, that is read when a judge asks for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lumina_eval.digests import digest_of, sha256_bytes, sha256_file
from lumina_eval.judging import Sight
from lumina_eval.records import Item
from lumina_eval.store import StoredImage

#: Left, top, right and bottom of an image within a file that holds several, in pixels.
Box = tuple[int, int, int, int]


def sight_of(item: Item, index: int, path: Path, box: Box | None = None) -> Sight:
    """Return an image to be judged; one whose file cannot be read is there without a sha256."""
    sha256 = _sha256(path)
    if sha256 is not None and box is not None:
        sha256 = digest_of([sha256, list(box)])
    return Sight(item, index, sha256, image_reader(path, box))


def image_reader(path: Path, box: Box | None = None) -> Callable[[], StoredImage | None]:
    """Return what reads an image file, or a part of it, when it is asked to: None if it cannot be read."""

    def read() -> StoredImage | None:
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                whole = image.convert("RGB")
            if box is None:
                return StoredImage(whole, sha256_bytes(data))
            return StoredImage(whole.crop(box), digest_of([sha256_bytes(data), list(box)]))
        except (OSError, SyntaxError, ValueError):
            return None

    return read


def _sha256(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None
