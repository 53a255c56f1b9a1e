"""From pixels to things: segment, group, fit, and say how much of each thing can be seen."""

from __future__ import annotations

import dataclasses
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.tabletop.sight.grouping import components, parts_of
from benchmarks.tabletop.sight.matching import Pose, deviation, fit
from benchmarks.tabletop.sight.segmentation import Segmentation, segment, to_lab, tones
from benchmarks.tabletop.sight.surface import texture
from benchmarks.tabletop.world.vocabulary import COLORS

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: Smallest blob that is looked at, as a fraction of the image; the smallest thing covers 0.016.
SMALLEST: Final = 0.004
#: Deviation of the outline at which a thing counts fully, and at which it does not count at all.
SURE: Final = 0.6
UNSURE: Final = 1.0
#: Overlap (intersection over union) of two silhouettes that cannot be those of two things.
SAME_PLACE: Final = 0.5
#: Distance in CIELAB below which a patch on a thing is a part of its surface.
ALIKE: Final = 40.0
#: Diameter, as a fraction of the side, at which a thing counts fully, and at which it does not count at all.
LARGE: Final = 0.2
SPECK: Final = 0.14
#: Share of a thing that has its colour at which it counts fully, and at which it does not count at all.
PURE: Final = 0.75
MOTLEY: Final = 0.5
#: Deviation above which every shape is tried with care, not only those that look likely.
CRISP: Final = 0.2
#: Opacity of the core at which a thing counts fully, and at which it does not count at all.
SOLID: Final = 0.75
FAINT: Final = 0.5


@dataclasses.dataclass(frozen=True)
class Seen:
    """A thing as the judge sees it."""

    shape: str
    color: str
    texture: str
    score: float
    """Visible fraction of the complete silhouette, times the confidence that it is this shape."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels; right and bottom are one past the last visible pixel."""
    mask: Mask
    pose: Pose


@dataclasses.dataclass
class _Blob:
    mask: Mask
    color: int
    pose: Pose
    covered: Floats
    """Share of each pixel that the complete silhouette covers."""
    deviation: float
    """See :func:`benchmarks.tabletop.sight.matching.deviation`."""
    solid: float
    """Opacity of its core, 1 for a thing of the palette's colours."""


def see(picture: npt.NDArray[np.uint8]) -> list[Seen]:
    """Find the things in a square sRGB picture (side, side, 3), best score first."""
    seen = segment(picture)
    blobs = _blobs(seen)
    things = [_describe(seen, blobs, i) for i in range(len(blobs))]
    return sorted(things, key=lambda thing: (-thing.score, thing.box))


def _blobs(seen: Segmentation) -> list[_Blob]:
    smallest = SMALLEST * seen.label.size
    masks = [(mask, color) for mask, color in components(seen, smallest) if mask.sum() >= smallest]
    everything = np.zeros(seen.label.shape, dtype=np.bool_)
    for mask, _ in masks:
        everything |= mask
    blobs: list[_Blob] = []
    for mask, color in sorted(masks, key=lambda pair: -int(pair[0].sum())):
        if _is_remnant(mask, color, blobs):
            continue
        for blob in _fitted(seen, mask, color, everything):
            _add(blob, blobs, seen, everything)
    return blobs


def _add(blob: _Blob, blobs: list[_Blob], seen: Segmentation, everything: Mask) -> None:
    """Add a blob, unless it is a part of another one whose surface lies between two colour words."""
    for k, other in enumerate(blobs):
        if _is_same_place(blob, other) or _is_patch(blob, other, seen):
            larger = max(blob, other, key=lambda one: int(one.mask.sum()))
            whole = _blob(seen, blob.mask | other.mask, larger.color, everything)
            if whole.deviation <= max(SURE, larger.deviation):
                blobs[k] = whole
                return
    blobs.append(blob)


def _is_same_place(blob: _Blob, other: _Blob) -> bool:
    both = float(np.minimum(blob.covered, other.covered).sum())
    return both > SAME_PLACE * float(np.maximum(blob.covered, other.covered).sum())


def _is_patch(blob: _Blob, other: _Blob, seen: Segmentation) -> bool:
    """Tell whether a blob lies within another one's silhouette and looks much like it."""
    if float(other.covered[blob.mask].mean()) < 0.7:
        return False
    looks = [seen.lab[one.mask].mean(axis=0) for one in (blob, other)]
    return float(np.linalg.norm(looks[0] - looks[1])) < ALIKE


def _is_remnant(mask: Mask, color: int, blobs: list[_Blob]) -> bool:
    """Absorb a piece that another thing cut off: same colour, and within a silhouette already fitted."""
    for blob in blobs:
        if blob.color == color and float(blob.covered[mask].mean()) > 0.6:
            blob.mask = blob.mask | mask
            return True
    return False


def _opacity_of(seen: Segmentation, mask: Mask) -> Floats:
    """Return the share of each pixel that this thing covers; well inside it is 1, whatever the pattern."""
    core = _core(mask)
    deep = cv2.erode(
        core.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=len(mask) // 64, borderValue=1
    )
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    own = np.where(near, seen.opacity, 0.0)
    typical = float(np.median(seen.opacity[core])) if core.any() else 1.0
    return np.where(deep > 0, 1.0, np.clip(own / max(typical, 0.3), 0, 1)).astype(np.float32)


def _core(mask: Mask) -> Mask:
    """Return the pixels whose neighbours all belong to the mask; the whole mask if that leaves too few."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(np.bool_)
    return core if core.sum() >= 12 else mask


def _blob(seen: Segmentation, mask: Mask, color: int, everything: Mask) -> _Blob:
    other = everything & ~mask
    own = np.where(other, 0.0, _opacity_of(seen, mask)).astype(np.float32)
    solid = float(np.median(seen.opacity[_core(mask)]))
    found: list[_Blob] = []
    for thorough in (False, True):
        for pose in fit(own, other, thorough=thorough):
            covered = pose.coverage(len(mask))
            found.append(_Blob(mask, color, pose, covered, deviation(covered, own, other), solid))
        if min(blob.deviation for blob in found) <= CRISP:
            break
    return min(found, key=lambda blob: blob.deviation)


def _fitted(seen: Segmentation, mask: Mask, color: int, everything: Mask) -> list[_Blob]:
    """Take a blob as one thing, or as several of one colour that touch, if that fits much better."""
    whole = _blob(seen, mask, color, everything)
    if whole.deviation <= SURE:
        return [whole]
    split = [_blob(seen, part, color, everything) for part in parts_of(mask, SMALLEST * mask.size)]
    worst = max(blob.deviation for blob in split)
    return split if worst < min(whole.deviation - 0.2, (SURE + UNSURE) / 2) else [whole]


def _describe(seen: Segmentation, blobs: list[_Blob], i: int) -> Seen:
    blob = blobs[i]
    rows, columns = np.flatnonzero(blob.mask.any(1)), np.flatnonzero(blob.mask.any(0))
    core = _core(blob.mask)
    word, tone, purity = _color(seen, core)
    score = _visible(blobs, i) * _confidence(blob, purity)
    return Seen(
        shape=blob.pose.shape,
        color=tuple(COLORS)[word],
        texture=texture(tone, core, blob.pose),
        score=float(np.clip(score, 0, 1)),
        box=(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)),
        mask=blob.mask,
        pose=blob.pose,
    )


def _color(seen: Segmentation, core: Mask) -> tuple[int, Floats, float]:
    """Name the colour of the core's pixels.

    Returns:
        The word's index, (side, side) how far each pixel is on the way from its first to its second tone, and
        the share of pixels that are anywhere near it.
    """
    pixels = seen.lab[core]
    ends = to_lab(tones()[:, [0, -1]])
    first, way = ends[:, 0], ends[:, 1] - ends[:, 0]
    length = (way**2).sum(1)
    along = np.einsum("nkc,kc->nk", pixels[:, None] - first, way) / length
    offset = pixels[:, None] - first - np.clip(along, 0, 1)[..., None] * way
    distance = np.sqrt(np.einsum("nkc,nkc->nk", offset, offset))
    word = int(np.argmin(np.minimum(distance, 45.0).mean(0)))
    tone = np.zeros(core.shape, np.float32)
    tone[core] = np.clip(along[:, word], -1, 2)
    return word, tone, float((distance[:, word] < ALIKE).mean())


def _visible(blobs: list[_Blob], i: int) -> float:
    """Return the visible fraction: the silhouette less what other things and the picture's rim hide."""
    blob = blobs[i]
    seen = blob.covered
    for other in blobs:
        if other is not blob:
            both = np.minimum(blob.covered, other.covered)
            if float(both[other.mask].sum()) > float(both[blob.mask].sum()):
                seen = seen * (1 - other.covered)
    return float(seen.sum()) / max(blob.pose.area, 1.0)


def _confidence(blob: _Blob, purity: float) -> float:
    """Return how sure thing and shape are: 1 for a clean thing, 0 for a faint, shapeless or motley one."""
    shape = (UNSURE - blob.deviation) / (UNSURE - SURE)
    solid = (blob.solid - FAINT) / (SOLID - FAINT)
    pure = (purity - MOTLEY) / (PURE - MOTLEY)
    large = (blob.pose.diameter / len(blob.mask) - SPECK) / (LARGE - SPECK)
    return float(np.prod(np.clip([shape, solid, pure, large], 0, 1)))
