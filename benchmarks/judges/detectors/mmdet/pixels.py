"""What mmdet does to an image before a detector sees it: the test pipeline of its COCO configs.

Facts are those of mmdet 2.28.2, ``configs/mask2former/mask2former_r50_lsj_8x2_50e_coco.py``
(``test_pipeline``), and of mmcv 1.7 (``image/geometric.py``, ``image/photometric.py``); OpenCV is the library
that they call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

#: The resized image fits into this, long side and short side in pixels (``img_scale``).
LONG: Final = 1333
SHORT: Final = 800
#: Both sides of the padded image are multiples of this (``size_divisor``).
DIVISOR: Final = 32
#: The padding, before normalisation. The instance configs pad with grey first and normalise then; the
#: panoptic twin, and mmdet 3, pad with 0 after it. A square image is not padded at all.
PADDING: Final = 128
#: RGB (``img_norm_cfg``).
MEAN: Final = (123.675, 116.28, 103.53)
STD: Final = (58.395, 57.12, 57.375)


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """An image as the network sees it; sizes are (height, width)."""

    pixels: npt.NDArray[np.float32]
    """[3, height, width] of the padded image, RGB, normalised."""
    resized: tuple[int, int]
    original: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """Size of ``pixels``."""
        return self.pixels.shape[1], self.pixels.shape[2]


def prepare(image: Image.Image) -> Prepared:
    """Resize with the shape kept, pad right and below, normalise."""
    import cv2

    picture = np.asarray(image.convert("RGB"))
    height, width = resized_size(image.height, image.width)
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    rows, columns = padded_size(image.height, image.width)
    padded = cv2.copyMakeBorder(
        resized, 0, rows - height, 0, columns - width, cv2.BORDER_CONSTANT, value=(PADDING,) * 3
    )
    values = cv2.subtract(padded.astype(np.float32), np.array([MEAN], dtype=np.float64))
    values = cv2.multiply(values, 1 / np.array([STD], dtype=np.float64))
    pixels = np.ascontiguousarray(np.asarray(values, dtype=np.float32).transpose(2, 0, 1))
    return Prepared(pixels, (height, width), (image.height, image.width))


def padded_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of what the network sees of an image of this size.

    >>> padded_size(512, 512), padded_size(480, 1280)
    ((800, 800), (512, 1344))
    """
    high, wide = resized_size(height, width)
    return high + -high % DIVISOR, wide + -wide % DIVISOR


def resized_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width after resizing: as large as fits, rounded half up.

    >>> resized_size(512, 512), resized_size(480, 1280)
    ((800, 800), (500, 1333))
    """
    scale = min(LONG / max(height, width), SHORT / min(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)
