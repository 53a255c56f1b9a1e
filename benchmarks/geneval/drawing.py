"""A picture of what the judge saw, and whether the rules were content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

from benchmarks.geneval.rules import Outcome

#: Frames and boxes; the word beside the frame says the same to those who do not see red and green apart.
RIGHT: Final = (22, 135, 62)
WRONG: Final = (200, 30, 40)
KEPT: Final = (20, 90, 200)
IGNORED: Final = (110, 110, 110)

#: Images with a shorter side than this many pixels are enlarged three times, so that labels can be read.
SMALL: Final = 256


def draw(image: Image.Image, output: Mapping[str, Any], outcome: Outcome) -> Image.Image:
    """Draw a judge's output over an image: kept boxes with class, score and colour, the rest thin and grey.

    The frame is green if the rules found the image correct, else red.
    """
    scale = 3 if min(image.size) < SMALL else 1
    canvas = image.convert("RGB").resize(
        (image.width * scale, image.height * scale), Image.Resampling.NEAREST
    )
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(11, min(canvas.size) // 24))
    kept = {(name, found.index) for name, group in outcome.kept.items() for found in group}
    # Grey first, so that what counts lies on top.
    boxes = [(name, i, row) for name, rows in output["detections"].items() for i, row in enumerate(rows)]
    for name, index, row in sorted(boxes, key=lambda box: (box[0], box[1]) in kept):
        counts = (name, index) in kept
        corners = _corners(row, scale)
        pen.rectangle(corners, outline=KEPT if counts else IGNORED, width=2 if counts else 1)
        if counts:
            words = output.get("colors", {}).get(name, [])
            color = words[index] if index < len(words) and words[index] else ""
            label(
                pen, canvas.size, font, (corners[0], corners[1]), f"{color} {name} {row[4]:.2f}".strip(), KEPT
            )
    verdict = RIGHT if outcome.correct else WRONG
    pen.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=verdict, width=max(3, scale * 2))
    label(pen, canvas.size, font, (0, canvas.height), "correct" if outcome.correct else "wrong", verdict)
    return canvas


def _corners(row: list[float], scale: int) -> tuple[float, float, float, float]:
    """Scale a box; corners in order, for a judge may give them in any."""
    x1, y1, x2, y2 = (value * scale for value in row[:4])
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    at: tuple[float, float],
    text: str,
    color: tuple[int, int, int],
) -> None:
    """Write white on colour above a point, moved so that all of it is within the image."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 4
    x = max(0.0, min(at[0], size[0] - width))
    y = max(0.0, min(at[1] - height, size[1] - height))
    pen.rectangle((x, y, x + width, y + height), fill=color)
    pen.text((x + 3 - left, y + 2 - top), text, font=font, fill=(255, 255, 255))
