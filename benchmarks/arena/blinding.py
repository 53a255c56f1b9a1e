"""What keeps a voter from knowing whose image it is: names from a keyed hash, and files that are all alike.

A name is a hash with a secret that only the manifest holds. Images are written anew without metadata, on one
canvas (stages of a training have sizes of their own) and padded to one length, since length tells models
apart as well. What the pixels themselves show cannot be hidden.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import struct
import zlib
from collections.abc import Iterable
from typing import Final

from PIL import Image

#: Hex digits of a name: 96 bits, far more than can be guessed or can collide.
NAME_LENGTH: Final = 24
#: Grey of the canvas around an image of another shape.
GROUND: Final = (128, 128, 128)
#: PNG chunk that decoders skip: ancillary, private, safe to copy (PNG specification, 5.4).
PADDING: Final = b"paDd"
#: The IEND chunk, which ends every PNG file.
END: Final = 12
#: Length, type and checksum of a chunk, in bytes.
CHUNK: Final = 12


def blind_name(secret: str, *words: str | int) -> str:
    """Return the name that stands for ``words``; without the secret it tells nothing."""
    text = "\0".join(str(word) for word in words)
    return hmac.new(bytes.fromhex(secret), text.encode(), hashlib.sha256).hexdigest()[:NAME_LENGTH]


def canvas(sizes: Iterable[tuple[int, int]], side: int | None = None) -> tuple[int, int]:
    """Return the (width, height) on which all images of these sizes fit, its longer side ``side`` at most."""
    every = set(sizes)
    width, height = max(w for w, _ in every), max(h for _, h in every)
    scale = 1.0 if side is None else min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def on_canvas(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image scaled to fit ``size`` (Lanczos), centred on grey where its shape is another."""
    if image.size == size:
        return image
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    scaled = image.resize(inner, Image.Resampling.LANCZOS)
    if inner == size:
        return scaled
    whole = Image.new("RGB", size, GROUND)
    whole.paste(scaled, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return whole


def bare_png(image: Image.Image) -> bytes:
    """Return an RGB image as a PNG file with pixels and nothing else."""
    buffer = io.BytesIO()
    pixels = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())  # leaves all metadata behind
    pixels.save(buffer, format="PNG")
    return buffer.getvalue()


def padded(png: bytes, length: int) -> bytes:
    """Return the PNG file with zeros in a chunk that decoders skip, ``length`` bytes long.

    Raises ValueError if it is longer, or too near to that length for a chunk.
    """
    room = length - len(png) - CHUNK
    if room < 0:
        raise ValueError(f"cannot pad {len(png)} bytes to {length}")
    body = PADDING + bytes(room)
    chunk = struct.pack(">I", room) + body + struct.pack(">I", zlib.crc32(body))
    return png[:-END] + chunk + png[-END:]
