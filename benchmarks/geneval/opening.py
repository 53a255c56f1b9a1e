"""The judge that a protocol's table ``[judge]`` describes, with whatever is missing told before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.geneval.judging import DetectionJudge
from benchmarks.geneval.vocabulary import COLORS
from benchmarks.judges.colors import ColorClassifier
from benchmarks.judges.detectors.coco import check_labels
from benchmarks.judges.detectors.detection import Detector
from benchmarks.judges.detectors.mmdet.conversion import converted_folder
from lumina_eval.errors import UserError, unknown

#: Entry point of this judge, and the name in its verdicts.
NAME: Final = "mask2former-clip"
#: Keys of the table ``[judge]``, beside the name.
KEYS: Final = ("detector", "weights", "colors", "device", "batch_size", "colored_above")
DETECTORS: Final = ("mask2former", "transformers", "detectron2")


def open_judge(options: Mapping[str, Any]) -> DetectionJudge:
    """Return detector and colour classifier as one judge.

    Raises UserError, with the command that mends it, if a key of the table or weights are absent.
    """
    if lacking := [key for key in KEYS if key not in options]:
        raise UserError(
            f"expected {', '.join(KEYS)} in the protocol's table [judge], found no {', '.join(lacking)}; "
            'fix: extends = "official", or add it'
        )
    device, size = str(options["device"]), int(options["batch_size"])
    if size < 1:
        raise UserError(
            f"expected at least 1 for judge.batch_size, found {size}; fix: --set judge.batch_size=4"
        )
    detector = _detector(str(options["detector"]), str(options["weights"]), device, size)
    colors = ColorClassifier(str(options["colors"]), COLORS, device=device)
    return DetectionJudge(NAME, detector, colors, float(options["colored_above"]))


def _detector(kind: str, weights: str, device: str, batch_size: int) -> Detector:
    if kind == "mask2former":
        from benchmarks.judges.detectors.mask2former import Mask2FormerDetector

        found = Mask2FormerDetector(weights or _official_folder(), device, batch_size)
        check_labels(found.labels, weights or str(converted_folder()))
        return found
    if not weights:
        raise UserError(
            f"expected the weights of detector {kind} for judge.weights, found none; "
            "fix: --set judge.weights=DIR"
        )
    if kind == "transformers":
        from benchmarks.judges.detectors.object_detection import ObjectDetector
        from benchmarks.judges.loading import labels_of
        from benchmarks.judges.weights import find_weights

        check_labels(labels_of(find_weights(weights, "an object detector"), "the detector"), weights)
        return ObjectDetector(weights, device, batch_size)
    if kind == "detectron2":
        from benchmarks.judges.detectors.detectron import Detectron2Detector

        zoo = Detectron2Detector(weights, device)
        check_labels(zoo.labels, weights)
        return zoo
    raise unknown("detector for judge.detector:", kind, DETECTORS)


def _official_folder() -> str:
    """Return the folder of the converted official detector; it must be that one and no other."""
    folder = converted_folder()
    try:
        official = json.loads((folder / "conversion.json").read_text(encoding="utf-8"))["official"]
    except (OSError, ValueError, KeyError):
        official = None
    if official is not True:
        found = "none" if official is None else "another than GenEval's"
        raise UserError(
            f"expected the official detector, converted, in {folder}, found {found}; fix: lumina-eval data "
            "fetch mask2former, then lumina-eval assets convert mask2former; or name another folder with "
            "--set judge.weights=DIR, or score verdicts made elsewhere with --verdicts FILE"
        )
    return str(folder)
