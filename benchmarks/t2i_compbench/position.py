"""Does one box stand to another as the words say? In the plane, and in depth.

The facts are those of UniDet_eval in Karine-Huang/T2I-CompBench at 1b709499; the code is our own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.t2i_compbench.boxes import Box, BoxLike, box_of, iou

#: Words of position in the order that the official code looks for them; the first one in the prompt counts.
LOCALITIES_2D: Final = (
    "on side of", "next to", "near", "on the left of", "on the right of", "on the bottom of", "on the top of",
    "on top of",
)  # fmt: skip
LOCALITIES_3D: Final = ("in front of", "behind", "hidden")

_BESIDE: Final = ("on side of", "next to", "near")
#: The axis of the offset (0: x, 1: y) and its sign when the first object stands there.
_SIDES: Final = {
    "on the left of": (0, 1), "on the right of": (0, -1),
    "on the top of": (1, 1), "on the bottom of": (1, -1),
}  # fmt: skip


def locality_in(prompt: str, localities: tuple[str, ...]) -> str | None:
    """Return the first of ``localities`` that the prompt contains anywhere, even within a word; else None."""
    return next((words for words in localities if words in prompt), None)


def determine_position_2d(
    locality: str | None,
    box1: BoxLike,
    box2: BoxLike,
    iou_threshold: float = 0.1,
    distance_threshold: float = 150.0,
    *,
    on_top_of: bool = False,
) -> float:
    """Return 0 to 1: how well box 1 stands to box 2 as the words say.

    Beside (``next to``, ``near``, ``on side of``): 1 if the centres are nearer than ``distance_threshold``
    pixels in x *or* in y, so also far above one another; else the threshold over the larger distance.
    A side: 0 unless the centres lie that way, and farther that way than the other; then 1, less the more the
    boxes overlap beyond ``iou_threshold``.

    The official code knows the words "on top of" and has no rule for them: 0. ``on_top_of`` mends it.
    """
    first, second = box_of(box1), box_of(box2)
    offset = tuple(there - here for here, there in zip(first.center, second.center, strict=True))
    if locality in _BESIDE:
        apart = [abs(value) for value in offset]
        return 1.0 if min(apart) < distance_threshold else distance_threshold / max(apart)
    if locality == "on top of" and on_top_of:
        locality = "on the top of"
    if locality not in _SIDES:
        return 0.0
    axis, sign = _SIDES[locality]
    if not (offset[axis] * sign > 0 and abs(offset[axis]) > abs(offset[1 - axis])):
        return 0.0
    overlap = iou(first, second)
    return 1.0 if overlap < iou_threshold else iou_threshold / overlap


def determine_position_3d(
    locality: str | None,
    box1: BoxLike,
    box2: BoxLike,
    depth_map: npt.ArrayLike,
    iou_threshold: float = 0.1,
    distance_threshold: float = 150.0,
    *,
    depth_iou_threshold: float = 0.5,
    depth_axes: str = "xy",
) -> float:
    """Return 0 to 1: how well box 1 stands to box 2 as the words say, with depth.

    ``depth_map`` is [row, column], larger is nearer. ``in front of``, ``behind`` and ``hidden`` go by
    :func:`position_in_depth` with ``depth_iou_threshold``, other words by :func:`determine_position_2d` with
    the other two.
    """
    first, second = box_of(box1), box_of(box2)
    if locality not in LOCALITIES_3D:
        return determine_position_2d(locality, first, second, iou_threshold, distance_threshold)
    depth = np.asarray(depth_map)
    nearness = mean_depth(depth, first, depth_axes), mean_depth(depth, second, depth_axes)
    return position_in_depth(locality, first, second, nearness, depth_iou_threshold)


def position_in_depth(
    locality: str | None,
    first: Box,
    second: Box,
    nearness: tuple[float | None, float | None],
    iou_threshold: float = 0.5,
) -> float:
    """Return 0 to 1 for words of depth, 0 for all other words.

    The boxes must overlap, and the right one must be nearer (``nearness``, None where it has no depth): then
    1 if IoU is more than the threshold, its share of the threshold if less, and 0 if it is exactly the
    threshold, because the official code asks for more and for less only.
    """
    a, b = nearness
    if locality not in LOCALITIES_3D or a is None or b is None:
        return 0.0
    overlap = iou(first, second)
    if not (a > b if locality == "in front of" else a < b) or overlap == iou_threshold:
        return 0.0
    return 1.0 if overlap > iou_threshold else overlap / iou_threshold


def mean_depth(depth_map: npt.NDArray[Any], box: Box, axes: str = "xy") -> float | None:
    """Return the mean of a depth map [row, column] over a box; None where nothing is left of it.

    Corners are cut to whole pixels towards 0. With ``axes`` "xy" the box's x is taken for the row, as the
    official code does: its first index is x. A box to the right of the image's height then has no depth, and
    a negative corner counts from the far end. "yx" reads the region of the box.
    """
    x, y = slice(int(box.x_min), int(box.x_max)), slice(int(box.y_min), int(box.y_max))
    region = depth_map[(x, y) if axes == "xy" else (y, x)]
    return float(region.mean()) if region.size else None
