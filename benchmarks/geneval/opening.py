"""The judge that a protocol's table ``[judge]`` describes, with whatever is missing told before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from benchmarks.geneval.judging import DetectionJudge
from benchmarks.geneval.vocabulary import COLORS
from benchmarks.judges.colors import ColorClassifier
from benchmarks.judges.detectors.coco import check_labels
from benchmarks.judges.detectors.detection import Detector
from benchmarks.judges.detectors.mmdet.conversion import converted_folder
from benchmarks.judges.table import JudgeTable, read_table
from lumina_eval.errors import UserError

#: Entry point of this judge, and the name in its verdicts.
NAME: Final = "mask2former-clip"


class DetectionOptions(JudgeTable):
    """What must stand in the table."""

    detector: Literal["mask2former", "transformers", "detectron2"]
    weights: str
    """Of the detector: a folder, ``OWNER/NAME@REVISION``, or empty for the official one, converted."""
    colors: str
    """CLIP: ``NAME/TAG`` of open_clip, a folder in its form, or a file of OpenAI's."""
    device: str
    """``auto``, ``cpu`` or ``cuda``."""
    batch_size: int = Field(ge=1)
    """Images that the detector sees at once."""
    colored_above: float = Field(ge=0, le=1)
    """Objects of a lower score get no colour."""


def open_judge(options: Mapping[str, Any]) -> DetectionJudge:
    """Return detector and colour classifier as one judge.

    Raises UserError, with the command that mends it, if the table is wrong or weights are absent.
    """
    table = read_table(DetectionOptions, options)
    detector = _detector(table.detector, table.weights, table.device, table.batch_size)
    colors = ColorClassifier(table.colors, COLORS, device=table.device)
    return DetectionJudge(NAME, detector, colors, table.colored_above)


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
    from benchmarks.judges.detectors.detectron import Detectron2Detector

    zoo = Detectron2Detector(weights, device)
    check_labels(zoo.labels, weights)
    return zoo


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
