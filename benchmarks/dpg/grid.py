"""The official image form: one file an item, a grid of two by two images.

The order of the images is top left, top right, bottom left, bottom right (compute_dpg_bench.py, 111 to 118,
of TencentQQGYLab/ELLA at 3c228f1d). The official script cuts where it is told to, and where the grid ends
before the cut it judges black pixels without a word; here a grid of another size is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image

from lumina_eval.errors import UserError

#: Left, top, right and bottom in pixels.
Box = tuple[int, int, int, int]

#: Images in a grid, and in a row and a column of it.
CROPS: Final = 4
_SIDE: Final = 2


def split(grid: Image.Image, side: int, name: str = "the grid") -> list[Image.Image]:
    """Return the four RGB images of ``side`` by ``side`` pixels (the official ``--resolution``).

    ``name`` is what a message calls the grid. Raises UserError unless it has twice that side.
    """
    check_size(grid.size, side, name)
    whole = grid.convert("RGB")
    return [whole.crop(box) for box in boxes(side)]


def boxes(side: int) -> list[Box]:
    """Return the boxes of the four images in official order."""
    return [(x, y, x + side, y + side) for x, y in _corners(side)]


def check_size(size: tuple[int, int], side: int, name: str) -> None:
    """Raise UserError unless a grid of ``size`` has images of ``side``; ``name`` is what to call it."""
    if side < 1 or size != (_SIDE * side, _SIDE * side):
        raise UserError(
            f"expected {_SIDE * side} by {_SIDE * side} pixels, four images of {side} by {side}, "
            f"found {size[0]} by {size[1]}, in {name}; fix: give the side of one image of the grid"
        )


def join(images: Sequence[Image.Image], name: str = "the grid") -> Image.Image:
    """Return the RGB grid of four images; UserError unless they are four squares of one size."""
    sizes = sorted({image.size for image in images})
    if len(images) != CROPS or len(sizes) != 1 or sizes[0][0] != sizes[0][1]:
        found = ", ".join(f"{width} by {height}" for width, height in sizes) or "none"
        raise UserError(
            f"expected {CROPS} square images of one size, found {len(images)} of {found}, for {name}; "
            "fix: make four images of each prompt, all of one size"
        )
    side = sizes[0][0]
    grid = Image.new("RGB", (_SIDE * side, _SIDE * side))
    for image, corner in zip(images, _corners(side), strict=True):
        grid.paste(image.convert("RGB"), corner)
    return grid


def _corners(side: int) -> list[tuple[int, int]]:
    """Top left corners in official order: row by row."""
    return [(column * side, row * side) for row in range(_SIDE) for column in range(_SIDE)]
