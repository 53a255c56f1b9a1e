"""Which pixels belong together: groups of one colour without seams between them, and blobs with a waist."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.sight.segmentation import Segmentation
from benchmarks.tabletop.world.vocabulary import COLORS

Mask = npt.NDArray[np.bool_]


def components(seen: Segmentation, smallest: float) -> list[tuple[Mask, int]]:
    """Group solid pixels of one colour word, and dissolve what is too thin or small to be a thing.

    Args:
        seen: the picture, pixel by pixel.
        smallest: area of the smallest thing in pixels; what has less than a quarter of it is dissolved.

    Returns:
        For each group its mask and the index of its colour word in ``COLORS``.
    """
    solid = (seen.opacity >= 0.5) & (seen.label >= 0)
    label = np.where(solid, seen.label, -1)
    for _ in range(3):
        found, thin = [], np.zeros(label.shape, dtype=np.bool_)
        for color in np.unique(label[label >= 0]):
            count, parts, stats, _ = cv2.connectedComponentsWithStats(
                (label == color).astype(np.uint8), connectivity=4
            )
            area = stats[:, cv2.CC_STAT_AREA]
            specks = area < smallest / 4
            thin |= specks[parts] & (parts > 0)
            for k in (k for k in range(1, count) if not specks[k]):
                mask = parts == k
                if _is_thin(mask, int(area[k]), label):
                    thin |= mask
                else:
                    found.append((mask, int(color)))
        if not thin.any():
            break
        label = _dissolved(label, thin, found, seen)
    return found


def _is_thin(mask: Mask, area: int, label: npt.NDArray[np.int32]) -> bool:
    """Tell whether a component is a seam: all rim and no core, and not alone on the table."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    wide = 2.0 + len(label) / 128
    if depth.max() >= wide or area >= 0.02 * label.size:
        return False
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_) & ~mask
    return bool((label[ring] >= 0).mean() > 0.2)


def _dissolved(
    label: npt.NDArray[np.int32], thin: Mask, found: list[tuple[Mask, int]], seen: Segmentation
) -> npt.NDArray[np.int32]:
    """Give the pixels of thin components to the neighbour whose colour fits best."""
    near = np.zeros((*label.shape, len(COLORS)), dtype=np.bool_)
    kernel = np.ones((5, 5), np.uint8)
    for mask, color in found:
        near[..., color] |= cv2.dilate(mask.astype(np.uint8), kernel).astype(np.bool_)
    cost = np.where(near, seen.cost, np.inf)
    best = np.argmin(cost, axis=2).astype(np.int32)
    reachable = near.any(axis=2)
    return np.where(thin, np.where(reachable, best, -1), label).astype(np.int32)


def parts_of(mask: Mask, smallest: float) -> list[Mask]:
    """Cut a blob at its waists: cores that erosion separates, grown again to the whole blob.

    A core counts if it has a quarter of the area ``smallest`` in pixels. Without a waist the blob comes back.
    """
    core = mask.astype(np.uint8)
    for _ in range(max(2, len(mask) // 16)):
        core = cv2.erode(core, np.ones((3, 3), np.uint8), borderValue=0)
        count, seeds = cv2.connectedComponents(core, connectivity=4)
        sizes = [int((seeds == k).sum()) for k in range(1, count)]
        if sum(size >= smallest / 4 for size in sizes) > 1:
            distances = [
                cv2.distanceTransform((seeds != k).astype(np.uint8), cv2.DIST_L2, 5)
                for k in range(1, count)
                if sizes[k - 1] >= smallest / 4
            ]
            owner = np.argmin(np.stack(distances), axis=0)
            return [mask & (owner == k) for k in range(len(distances))]
    return [mask]
