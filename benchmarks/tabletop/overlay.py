"""A picture with what the eye of the embedded world saw in it, and how much of what was asked it fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from benchmarks.geneval.drawing import KEPT, RIGHT, SMALL, WRONG, label


def draw(image: Image.Image, seen: Sequence[Sequence[Any]], full: bool, words: str) -> Image.Image:
    """Draw boxes and names of what was seen; the frame is green if all was fulfilled, else red.

    Args:
        image: the picture; a small one is enlarged three times, so that names can be read.
        seen: rows ``[x1, y1, x2, y2, score, words]``, pixels.
        full: whether all that was asked is fulfilled.
        words: what stands beside the frame, e.g. ``7 of 9``.
    """
    scale = 3 if min(image.size) < SMALL else 1
    canvas = image.convert("RGB").resize(
        (image.width * scale, image.height * scale), Image.Resampling.NEAREST
    )
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(9, min(canvas.size) // 28))
    color = RIGHT if full else WRONG
    pen.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=color, width=max(3, scale * 2))
    for *box, _, name in seen:
        corners = [value * scale for value in box]
        pen.rectangle(corners, outline=KEPT, width=2)
        label(pen, canvas.size, font, (corners[0], corners[1]), name, KEPT)
    label(pen, canvas.size, font, (0, canvas.height), words, color)
    return canvas
