"""One picture of many samples: each image, what the judge saw of it, and the prompt below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

MAX_SAMPLES = 32
"""More than this is a gallery, and belongs on disk."""


@dataclass(frozen=True)
class Sample:
    """One image for people to look at."""

    prompt: str
    image: Image.Image
    seen: Image.Image | None = None
    """The same image with what the judge saw drawn in."""


def mosaic(samples: Sequence[Sample], columns: int = 4, side: int = 128) -> Image.Image:
    """Return an RGB sheet of cells in reading order, each view `side` pixels wide and high.

    A cell is one view wide, or two if any sample has a judge's view. Images keep their aspect ratio.
    """
    if not samples:
        raise ValueError("a mosaic needs at least one sample")
    font = ImageFont.load_default(11)
    views = 2 if any(sample.seen is not None for sample in samples) else 1
    width, text_height, gap = views * side, 30, 6
    columns = min(columns, len(samples))
    rows = math.ceil(len(samples) / columns)
    sheet = Image.new(
        "RGB", (columns * (width + gap) + gap, rows * (side + text_height + gap) + gap), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for place, sample in enumerate(samples):
        left = gap + (place % columns) * (width + gap)
        top = gap + (place // columns) * (side + text_height + gap)
        for view, image in enumerate((sample.image, sample.seen)):
            if image is not None:
                sheet.paste(_fitted(image, side), (left + view * side, top))
        lines = textwrap.wrap(sample.prompt, width=width // 6)[:2]
        draw.multiline_text((left, top + side + 2), "\n".join(lines), fill="black", font=font, spacing=1)
    return sheet


def _fitted(image: Image.Image, side: int) -> Image.Image:
    """Scale to fit a square, up without smoothing so that small images stay what they are."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, method)
