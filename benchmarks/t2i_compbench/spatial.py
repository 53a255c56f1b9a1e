"""The score of one image for a position in the plane or in depth: both objects, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.t2i_compbench.boxes import Detection
from benchmarks.t2i_compbench.objects import Tokens, around_phrase, first_and_last
from benchmarks.t2i_compbench.options import OFFICIAL, Spatial, Spatial3d
from benchmarks.t2i_compbench.position import (
    LOCALITIES_2D,
    LOCALITIES_3D,
    determine_position_2d,
    locality_in,
    position_in_depth,
)


def spatial_score(
    prompt: str, tokens: Tokens, detections: Sequence[Detection], options: Spatial = OFFICIAL.spatial
) -> float:
    """Return the score of a position in the plane, 0 to 1.

    A quarter of the confidence for each object and half of the position; of several detections with the very
    label the first counts. Less than ``options.least`` is 0: one object alone never scores. The detector's
    own threshold (0.5) was applied before; none is applied here.
    """
    first, second = (around_phrase if options.complex else first_and_last)(tokens)
    one, other = _named(detections, first), _named(detections, second)
    score = 0.0
    if one and other:
        locality = locality_in(prompt, LOCALITIES_2D)
        position = determine_position_2d(
            locality, one.box, other.box, options.overlap, options.distance, on_top_of=options.on_top_of
        )
        score = 0.25 * one.score + 0.25 * other.score + position / 2
    elif only := one or other:
        score = 0.25 * only.score
    return score if score >= options.least else 0


def depth_score(
    prompt: str,
    tokens: Tokens,
    detections: Sequence[Detection],
    nearness: Sequence[float | None],
    options: Spatial3d = OFFICIAL.spatial_3d,
) -> float:
    """Return the score of a position in depth, 0 to 1; ``nearness`` is the mean depth of each detection.

    The weights are those of :func:`spatial_score`. Here a label need only contain the object's name ("car" is
    found in "cart"), :func:`_containing` says which of several detections counts, and a low score stays.
    """
    first, second = _containing([detection.label for detection in detections], first_and_last(tokens))
    if first is not None and second is not None:
        one, other = detections[first], detections[second]
        near = nearness[first], nearness[second]
        position = position_in_depth(
            locality_in(prompt, LOCALITIES_3D), one.box, other.box, near, options.overlap
        )
        return 0.25 * one.score + 0.25 * other.score + position / 2
    only = first if first is not None else second
    return 0.0 if only is None else 0.25 * detections[only].score


def _named(detections: Sequence[Detection], name: str | None) -> Detection | None:
    return next((detection for detection in detections if detection.label == name), None)


def _containing(labels: Sequence[str], names: tuple[str | None, str | None]) -> tuple[int | None, int | None]:
    """Return the place of the label for each name: the last that contains it, up to where both have one.

    The official code walks over the labels, lets each match replace the one before, and stops as soon as both
    objects have a place; where only one of them is there, its first match counts (3D_spatial_eval.py, 301 to
    340).
    """
    places: list[int | None] = [
        next((place for place, label in enumerate(labels) if name is not None and name in label), None)
        for name in names
    ]
    if None in places:
        return places[0], places[1]
    places = [None, None]
    for place, label in enumerate(labels):
        for which, name in enumerate(names):
            if name is not None and name in label:
                places[which] = place
        if None not in places:
            break
    return places[0], places[1]
