"""GenEval's judge: a detector finds objects of COCO's classes, CLIP names the colours that rules ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from benchmarks.judges.colors import ColorClassifier, crop_of
from benchmarks.judges.detectors.coco import COCO, coco_name
from benchmarks.judges.detectors.detection import Detection, Detector
from lumina_eval.digests import digest_of
from lumina_eval.records import Item

#: What GenEval calls three of COCO's classes.
GENEVAL_NAMES: Final = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
#: How many objects of a class get a colour at most: the rules look at no more (``max_objects``).
MOST_COLORED: Final = 16


class DetectionJudge:
    """Detections of every class before any threshold, and colours where the prompt names one."""

    kind: Literal["detect"] = "detect"

    def __init__(
        self, name: str, detector: Detector, colors: ColorClassifier, colored_above: float = 0.05
    ) -> None:
        """Put a judge together; objects whose score is not above ``colored_above`` get no colour."""
        self.name = name
        self._detector, self._colors = detector, colors
        self._colored_above = colored_above

    @property
    def digest(self) -> str:
        """Sha256 of both models."""
        return digest_of([self._detector.digest, self._colors.digest])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of both models, and which objects get a colour."""
        return {
            "detector": self._detector.name,
            "detection": dict(self._detector.settings),
            "colors": dict(self._colors.settings),
            "colored_above": self._colored_above,
        }

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return ``detections`` and ``colors`` of each image, as in a verdict file."""
        pictures = [image.convert("RGB") for image in images]
        found = [_by_class(one) for one in self._detector.detect(pictures)]
        wanted = [
            (number, name, place)
            for number, (item, groups) in enumerate(zip(items, found, strict=True))
            for name in _colored_classes(item)
            for place in self._surest(groups.get(name, []))
        ]
        crops = [crop_of(pictures[number], found[number][name][place]) for number, name, place in wanted]
        named = self._colors.classify(crops, [name for _, name, _ in wanted])
        outputs: list[dict[str, Any]] = [
            {
                "detections": {name: [_row(one) for one in group] for name, group in groups.items()},
                "colors": {name: [None] * len(groups.get(name, [])) for name in _colored_classes(item)},
            }
            for item, groups in zip(items, found, strict=True)
        ]
        for (number, name, place), color in zip(wanted, named, strict=True):
            outputs[number]["colors"][name][place] = color
        return outputs

    def _surest(self, group: Sequence[Detection]) -> list[int]:
        """Return the places of the objects that a rule may look at: those of the best scores."""
        scores = np.array([one.score for one in group], dtype=np.float32)
        order = np.argsort(scores, kind="stable")[::-1][:MOST_COLORED]
        return [int(place) for place in order if scores[place] > self._colored_above]


def _by_class(detections: Sequence[Detection]) -> dict[str, list[Detection]]:
    """Sort detections into GenEval's classes, in COCO's order; labels of no such class are left out."""
    groups: dict[str, list[Detection]] = {name: [] for name in COCO}
    for one in detections:
        name = coco_name(one.label)
        if name is not None:
            groups[name].append(one)
    return {GENEVAL_NAMES.get(name, name): group for name, group in groups.items() if group}


def _colored_classes(item: Item) -> list[str]:
    """Return the classes whose colour the prompt names."""
    clauses = item.metadata.get("include", [])
    return list(dict.fromkeys(clause["class"] for clause in clauses if "color" in clause))


def _row(found: Detection) -> list[float]:
    """Write box and score with the fewest digits that give the same float32 again."""
    return [float(str(np.float32(value))) for value in (*found.box, found.score)]
