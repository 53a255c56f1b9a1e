"""Images inside documents: small PNG files, data URIs, and drawings lifted off their image."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

#: Longest side in pixels of an image in a report; larger ones are scaled down.
LONGEST: Final = 384


def png(image: Image.Image) -> bytes:
    """Encode as PNG; an image longer than 384 pixels is scaled down first."""
    fitted = image.convert("RGB")
    if max(fitted.size) > LONGEST:
        fitted.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return _encoded(fitted)


def overlay(image: Image.Image, drawn: Image.Image) -> bytes:
    """Return what was drawn over an image as a PNG, transparent wherever nothing was drawn.

    Stored apart, the drawing can be taken away by the reader, and both together are smaller than one. Where
    ``drawn`` is not an enlargement of ``image`` by pixels, it comes back whole and opaque.
    """
    below = image.convert("RGB").resize(drawn.size, Image.Resampling.NEAREST)
    top = np.asarray(drawn.convert("RGB"))
    changed = (top != np.asarray(below)).any(axis=-1)
    if changed.mean() > 0.9:
        return png(drawn)
    # Invisible pixels are set to black, so that they cost nothing.
    pixels = np.dstack([top * changed[..., None], changed.astype(np.uint8) * 255])
    return _encoded(_fewer_colors(Image.fromarray(pixels)))


def together(image: bytes, marks: bytes | None) -> bytes:
    """Return one PNG of an image with its drawing on top, enlarged by whole pixels to the drawing's size."""
    if marks is None:
        return image
    top = Image.open(io.BytesIO(marks)).convert("RGBA")
    below = Image.open(io.BytesIO(image)).convert("RGBA").resize(top.size, Image.Resampling.NEAREST)
    return _encoded(Image.alpha_composite(below, top).convert("RGB"), optimize=False)


def beside(images: Sequence[bytes], gap: int = 6) -> bytes:
    """Return one PNG of images from left to right, each enlarged by whole pixels to about the tallest."""
    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in images]
    height = max(image.height for image in opened)
    scaled = []
    for image in opened:
        times = max(1, height // image.height)
        scaled.append(image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST))
    width = sum(image.width for image in scaled) + gap * (len(scaled) - 1)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for image in scaled:
        sheet.paste(image, (left, 0))
        left += image.width + gap
    return _encoded(sheet, optimize=False)


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    """Return bytes as a ``data:`` URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _fewer_colors(image: Image.Image) -> Image.Image:
    """Lay lines and letters on a palette; they have few colours, and a palette is a quarter of the size."""
    return image.quantize(63, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _encoded(image: Image.Image, *, optimize: bool = True) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=optimize)
    return out.getvalue()
