from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.dpg.grid import join, split
from lumina_eval.errors import UserError


def cell(side: int, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000))
def test_four_images_come_back_to_the_pixel(side: int, seed: int) -> None:
    cells = [cell(side, seed + k) for k in range(4)]
    again = split(join(cells), side)
    assert [image.tobytes() for image in again] == [image.tobytes() for image in cells]


def test_the_order_is_row_by_row() -> None:
    grid = join([Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue", "white")])
    assert [grid.getpixel(place) for place in ((0, 0), (15, 0), (0, 15), (15, 15))] == [
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255),
    ]  # fmt: skip


def test_the_crops_are_those_of_the_official_script() -> None:
    grid = cell(32, 5)
    boxes = [(0, 0, 16, 16), (16, 0, 32, 16), (0, 16, 16, 32), (16, 16, 32, 32)]
    assert [image.tobytes() for image in split(grid, 16)] == [grid.crop(box).tobytes() for box in boxes]


@pytest.mark.parametrize("size", [(31, 32), (32, 31), (64, 64), (16, 16), (1, 1)])
def test_a_grid_of_another_size_is_refused(size: tuple[int, int]) -> None:
    width, height = size
    with pytest.raises(
        UserError, match=f"expected 32 by 32 pixels.*found {width} by {height}, in 7.png; fix:"
    ):
        split(Image.new("RGB", size), 16, "7.png")


def test_a_side_of_nothing_is_refused() -> None:
    with pytest.raises(UserError):
        split(Image.new("RGB", (1, 1)), 0)


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([(8, 8)] * 3, "found 3 of 8 by 8"),
        ([], "found 0 of none"),
        ([(8, 8)] * 3 + [(4, 4)], "found 4 of 4 by 4, 8 by 8"),
        ([(8, 4)] * 4, "found 4 of 8 by 4"),
    ],
)
def test_images_that_make_no_grid_are_refused(sizes: list[tuple[int, int]], found: str) -> None:
    with pytest.raises(UserError, match=found):
        join([Image.new("RGB", size) for size in sizes])


def test_other_modes_become_rgb() -> None:
    grid = join([Image.new(mode, (4, 4)) for mode in ("L", "RGBA", "P", "RGB")])
    assert grid.mode == "RGB"
    assert all(image.mode == "RGB" for image in split(grid.convert("L"), 4))
