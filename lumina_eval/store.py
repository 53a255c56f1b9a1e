"""The image store: a PNG per image key, with a JSON line beside it that knows its sha256.

The files are the truth; there is no index. The sidecar is written after the image, so that an image without
one was cut off while it was written. An image that is absent, truncated or altered counts as missing.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from lumina_eval.digests import canonical_json, sha256_bytes
from lumina_eval.files import make_folder, write_atomic

#: Fixed, so that the same pixels are the same bytes.
PNG_COMPRESSION: Final = 6


@dataclasses.dataclass(frozen=True)
class StoredImage:
    """An image as it was read: RGB pixels, and the sha256 of its file."""

    image: Image.Image
    sha256: str


class ImageStore:
    """Content-addressed images below one folder: ``<root>/<key[:2]>/<key>.png`` and ``.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> ImageStore:
        """Create the folder; raise :class:`UserError` if it cannot be written."""
        make_folder(self.root)
        return self

    def path(self, key: str) -> Path:
        """Return where the image of ``key`` is or would be."""
        return self.root / key[:2] / f"{key}.png"

    def sha256(self, key: str) -> str | None:
        """Return the sha256 of a whole, unaltered image; None if it is missing."""
        data = self._bytes(key)
        return None if data is None else sha256_bytes(data)

    def read(self, key: str) -> StoredImage | None:
        """Return the image of ``key``; None if it is missing or cannot be read."""
        data = self._bytes(key)
        if data is None:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                return StoredImage(image.convert("RGB"), sha256_bytes(data))
        except (OSError, SyntaxError, ValueError):
            return None

    def write(self, key: str, image: Image.Image, origin: Mapping[str, Any]) -> str:
        """Store an RGB image under ``key`` and return its sha256; ``origin`` says what made it."""
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", compress_level=PNG_COMPRESSION)
        data = buffer.getvalue()
        digest = sha256_bytes(data)
        path = self.path(key)
        write_atomic(path, data)
        record = {
            "schema": 1,
            "key": key,
            "sha256": digest,
            "width": image.width,
            "height": image.height,
            "origin": dict(origin),
        }
        write_atomic(path.with_suffix(".json"), f"{canonical_json(record)}\n".encode())
        return digest

    def _bytes(self, key: str) -> bytes | None:
        """Return the file's content if it is what its sidecar says."""
        path = self.path(key)
        try:
            record = json.loads(path.with_suffix(".json").read_bytes())
            data = path.read_bytes()
        except (OSError, ValueError):
            return None
        whole = isinstance(record, dict) and record.get("sha256") == sha256_bytes(data)
        return data if whole else None
