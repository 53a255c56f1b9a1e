"""Where UniDet's published files lie: two checkpoints, which nothing here fetches, and names of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.judges.detectors.detectron import require_detectron2
from benchmarks.judges.detectors.unidet.detector import UniDetDetector
from benchmarks.judges.detectors.unidet.network import Kind
from lumina_eval.assets.catalogue import data_folder, locate

#: The torch file with the names (dataset/detection_features.pt of T2I-CompBench), and the asset that it is.
LABELS_FILE: Final = "detection_features.pt"
LABELS_ASSET: Final = "unidet-labels"


def weights_name(kind: Kind) -> str:
    """Return the name under which a checkpoint was published (experts/model_bank.py, 79 to 84)."""
    return f"Unified_learned_OCIM_{kind}_6x+2x.pth"


def open_unidet(kind: Kind, folder: str = "", device: str = "auto") -> UniDetDetector:
    """Return the detector of the files in ``folder``; empty: ``unidet`` in the folder of fetched files.

    The names of the labels are those in the folder, else those fetched.

    Raises UserError for what is absent: detectron2, then the names, then the weights.
    """
    require_detectron2("unidet")
    place = Path(folder) if folder else data_folder() / "unidet"
    labels = place / LABELS_FILE
    return UniDetDetector(
        kind, place / weights_name(kind), labels if labels.is_file() else locate(LABELS_ASSET), device
    )
