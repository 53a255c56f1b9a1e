"""GenEval's rules: which detections count, and whether they show what the prompt asks for.

Pure functions that give what the official script gives, to the last bit. Line numbers are those of
evaluation/evaluate_images.py in djghosh13/geneval at af4902f2. Two things that the official script leaves to
chance are settled here: tied scores (its argsort is unstable; here the later detection comes first, as under
the numpy that it pins) and the order of two relations in a reason (it joins a set; here alphabetical).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.geneval.vocabulary import COLORS

#: A box [x1, y1, x2, y2, …], in pixels.
Box = Sequence[float] | npt.NDArray[np.float32]

#: Judge output of one class: rows [x1, y1, x2, y2, score], pixels and 0 to 1.
Rows = Sequence[Sequence[float]] | npt.NDArray[np.float32]


class MissingColorError(ValueError):
    """A rule needs the colour of a detection that the judge left uncoloured."""

    def __init__(self, name: str, index: int) -> None:
        super().__init__(f"the colour of detection {index} of class '{name}' is null, and a rule needs it")
        self.name, self.index = name, index


@dataclass(frozen=True, slots=True)
class Options:
    """The constants of the rules; names and defaults as in the official ``--options`` (286 to 290)."""

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position_threshold: float = 0.1


@dataclass(frozen=True, slots=True)
class Found:
    """A detection that counts: its place in the judge's list of its class, and its float32 row."""

    index: int
    row: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say of one image: verdict, the reasons against it by line, and what was kept."""

    correct: bool
    reason: str
    kept: dict[str, list[Found]]

    @property
    def details(self) -> str:
        """The kept rows as the JSON text that the official record carries (254 to 257)."""
        return json.dumps(
            {name: [found.row.tolist() for found in group] for name, group in self.kept.items()}
        )


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes whose corner pixels both belong to them (130 to 137).

    Differences are taken in the boxes' own precision and all else in float64, as the official code does
    under the numpy 1.23 that it pins. Boxes without area have IoU 0.
    """
    both = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    either = _area(a) + _area(b) - both
    return both / either if either else 0.0


def _area(box: Box) -> float:
    return max(float(box[2] - box[0]) + 1.0, 0.0) * max(float(box[3] - box[1]) + 1.0, 0.0)


def relative_position(
    a: Box,
    b: Box,
    *,
    position_threshold: float = 0.1,
) -> set[str]:
    """Say where box ``a`` lies as seen from box ``b`` (140 to 157).

    Boxes are [x1, y1, x2, y2, …]. The offset of the centres is first shortened by a tenth of both sizes; what
    remains in x or y must be more than half of the whole offset. Two relations can hold at once, or none.
    All in float32.
    """
    corners = np.array([np.asarray(box, dtype=np.float32)[:4] for box in (a, b)]).reshape(2, 2, 2)
    center_a, center_b = corners.mean(axis=-2)
    size_a, size_b = np.abs(corners[:, 1] - corners[:, 0])
    offset = center_a - center_b
    beyond = np.maximum(np.abs(offset) - np.float32(position_threshold) * (size_a + size_b), 0)
    revised = beyond * np.sign(offset)
    if np.all(np.abs(revised) < np.float32(1e-3)):
        return set()
    dx, dy = revised / np.linalg.norm(offset)
    holds = {"left of": dx < -0.5, "right of": dx > 0.5, "above": dy < -0.5, "below": dy > 0.5}
    return {relation for relation, true in holds.items() if true}


def keep(rows: Rows, *, threshold: float, max_objects: int = 16, max_overlap: float = 1.0) -> list[Found]:
    """Return the detections of one class that count, most confident first (232 to 242).

    A score must be greater than the threshold in float32, so that float32(0.9) does not pass 0.9. Then the
    list is cut to ``max_objects``, and greedy suppression runs unless ``max_overlap`` is 1.
    """
    table = np.asarray(rows, dtype=np.float32).reshape(-1, 5)
    order = np.argsort(table[:, 4], kind="stable")[::-1]
    order = order[table[order, 4] > np.float32(threshold)][:max_objects]
    candidates = [Found(int(index), table[index]) for index in order]
    if max_overlap == 1:
        return candidates
    kept: list[Found] = []
    for candidate in candidates:
        if all(iou(other.row, candidate.row) < max_overlap for other in kept):
            kept.append(candidate)
    return kept


def keep_all(
    detections: Mapping[str, Rows], classes: Sequence[str], *, tag: str, options: Options
) -> dict[str, list[Found]]:
    """Apply :func:`keep` to each class, in the order of ``classes``; classes with nothing left are absent."""
    threshold = options.counting_threshold if tag == "counting" else options.threshold
    every = {}
    for name in classes:
        if name in detections:
            every[name] = keep(
                detections[name],
                threshold=threshold,
                max_objects=options.max_objects,
                max_overlap=options.max_overlap,
            )
    return {name: group for name, group in every.items() if group}


def evaluate(
    metadata: Mapping[str, Any],
    detections: Mapping[str, Rows],
    colors: Mapping[str, Sequence[str | None]],
    classes: Sequence[str],
    options: Options = Options(),
) -> Outcome:
    """Judge one image by the official rules (160 to 258).

    Args:
        metadata: the official object: ``tag``, ``include``, perhaps ``exclude``.
        detections: rows per class in the judge's order, before any threshold.
        colors: a colour word or None for each of these rows; read only where a clause asks for a colour.
        classes: all class names; gives the order of ``details``.
        options: constants of the rules.

    Raises:
        MissingColorError: a colour that is asked for is absent.
    """
    kept = keep_all(detections, classes, tag=metadata["tag"], options=options)
    reasons: list[str] = []
    matched: list[list[Found] | None] = []
    for clause in metadata.get("include", []):
        name, count = clause["class"], clause["count"]
        group = kept.get(name, [])[:count]
        if len(group) < count:
            against = f"expected {name}>={count}, found {len(group)}"
        else:
            against = _color_reason(clause, group, colors) or _position_reason(
                clause, group, matched, options
            )
        matched.append(None if against else group)
        if against:
            reasons.append(against)
    for clause in metadata.get("exclude", []):
        name, count = clause["class"], clause["count"]
        found = len(kept.get(name, []))
        if found >= count:
            reasons.append(f"expected {name}<{count}, found {found}")
    return Outcome(not reasons, "\n".join(reasons), kept)


def _color_reason(
    clause: Mapping[str, Any], group: Sequence[Found], colors: Mapping[str, Sequence[str | None]]
) -> str:
    """Say what speaks against the colour clause, "" if nothing does (181 to 190)."""
    if "color" not in clause:
        return ""
    name, wanted = clause["class"], clause["color"]
    seen = [_color(colors, name, found.index) for found in group]
    if seen.count(wanted) >= clause["count"]:
        return ""
    counts = ", ".join(f"{seen.count(color)} {color}" for color in COLORS if color in seen)
    return f"expected {wanted} {name}>={clause['count']}, found {seen.count(wanted)} {wanted}; and {counts}"


def _color(colors: Mapping[str, Sequence[str | None]], name: str, index: int) -> str:
    row = colors.get(name, ())
    color = row[index] if index < len(row) else None
    if color is None:
        raise MissingColorError(name, index)
    return color


def _position_reason(
    clause: Mapping[str, Any],
    group: Sequence[Found],
    matched: Sequence[Sequence[Found] | None],
    options: Options,
) -> str:
    """Say what speaks against the position clause, "" if nothing does (191 to 209)."""
    if "position" not in clause:
        return ""
    name, (wanted, target) = clause["class"], clause["position"]
    references = matched[target]
    if references is None:
        return f"no target for {name} to be {wanted}"
    for found in group:
        for reference in references:
            true = relative_position(found.row, reference.row, position_threshold=options.position_threshold)
            if wanted not in true:
                return f"expected {name} {wanted} target, found {' and '.join(sorted(true))} target"
    return ""
