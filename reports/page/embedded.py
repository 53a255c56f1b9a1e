"""The images of a page: each once, small ones as they were judged, large ones as thumbnails.

They travel as ``data:`` URIs in one list, and rows name them by their place in it: a browser decodes an image
when it comes into sight, and two rows that show the same image hold it once.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

from PIL import Image

from lumina_eval.digests import sha256_bytes
from reports.pictures import data_uri

#: Longest side in pixels up to which the judged file itself is in the page.
AS_JUDGED: Final = 128

#: Longest side in pixels of a thumbnail of anything larger.
THUMBNAIL: Final = 256

#: WebP quality of thumbnails: blocks are not seen at this size, and files are a tenth of PNG's.
QUALITY: Final = 80


class EmbeddedImages:
    """A list that grows by one data URI for each new image."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._places: dict[str, int] = {}

    def add_image(self, data: bytes) -> int:
        """Add an image file and return its place; ``data`` is a PNG file from the image store."""
        return self._add(data, thumbnail)

    def add_marks(self, data: bytes) -> int:
        """Add a transparent drawing, a PNG file, as it is."""
        return self._add(data, lambda same: (same, "image/png"))

    def _add(self, data: bytes, encode: Callable[[bytes], tuple[bytes, str]]) -> int:
        digest = sha256_bytes(data)
        if digest not in self._places:
            self._places[digest] = len(self.uris)
            self.uris.append(data_uri(*encode(data)))
        return self._places[digest]


def thumbnail(data: bytes) -> tuple[bytes, str]:
    """Return (file, media type): ``data`` as it is up to 128 pixels, else a WebP of at most 256."""
    with Image.open(io.BytesIO(data)) as image:
        if max(image.size) <= AS_JUDGED:
            return data, Image.MIME[image.format or "PNG"]
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, format="WEBP", quality=QUALITY, method=4)
    return out.getvalue(), "image/webp"
