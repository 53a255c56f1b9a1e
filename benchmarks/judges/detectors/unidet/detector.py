"""UniDet as T2I-CompBench's scripts run it: an image as it is given, BGR, and boxes of 722 labels.

The facts are those of UniDet_eval in Karine-Huang/T2I-CompBench at 1b709499; the code is our own.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.unidet.network import LABELS, MOST, THRESHOLD, Kind
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Raised whenever the same weights and settings give other detections.
VERSION: Final = 1


class UniDetDetector:
    """Boxes above UniDet's own threshold, surest first, in float32; one object may have several labels."""

    def __init__(self, kind: Kind, weights: Path, labels: Path, device: str = "auto") -> None:
        """Check the files; the weights are loaded when the first image comes.

        ``weights`` is ``Unified_learned_OCIM_{kind}_6x+2x.pth``, ``labels`` a torch file whose ``labels``
        are the names in the order of the scores (``detection_features.pt``).

        Raises UserError if a file is absent, or if the names cannot be read.
        """
        if not weights.is_file():
            raise UserError(
                f"expected UniDet's weights, found no file {weights}; fix: put the published file there "
                "(see benchmarks/t2i_compbench/CARD.md), or name a folder: --set judge.weights=unidet:DIR"
            )
        self._kind, self._file = kind, weights
        self.labels = read_labels(labels)
        self._device = device_of(device)

    @property
    def name(self) -> str:
        """Which of the two networks it is."""
        return f"unidet-{self._kind.lower()}"

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights, the names of the labels, and the version of this file's procedure."""
        weights = sha256_file(self._file)
        return digest_of(
            {"detector": self.name, "version": VERSION, "weights": weights, "labels": list(self.labels)}
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is kept of an image, and what is computed in."""
        return {
            "score_above": THRESHOLD,
            "most_per_image": MOST,
            "channels": "BGR",
            "dtype": "float32",
            "device": self._device.partition(":")[0],
        }

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has, surest first; an image is not resized, and seen alone.

        The channels are reversed for both networks, as in the official scripts
        (experts/obj_detection/generate_dataset.py, 42), though the larger one was trained on RGB.
        """
        import torch

        found = []
        for image in images:
            pixels = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1].transpose(2, 0, 1))
            given = torch.from_numpy(pixels.astype(np.float32))
            with full_float32():
                inputs = [{"image": given, "height": image.height, "width": image.width}]
                seen = self._model(inputs)[0]["instances"].to("cpu")
            rows = zip(
                seen.pred_boxes.tensor.tolist(), seen.scores.tolist(), seen.pred_classes.tolist(), strict=True
            )
            found.append([Detection(tuple(box), score, self.labels[place]) for box, score, place in rows])
        return found

    @cached_property
    def _model(self) -> Any:
        from benchmarks.judges.detectors.detectron_weights import load_whole
        from benchmarks.judges.detectors.unidet.network import build

        model = build(self._kind, self._device)
        load_whole(model, self._file)
        return model


def read_labels(file: Path) -> tuple[str, ...]:
    """Return the 722 names of a torch file, read without running what it may hold.

    Raises UserError if they are not there.
    """
    import torch

    try:
        names = torch.load(file, map_location="cpu", weights_only=True)["labels"]
    except (
        OSError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(
            f"expected the names of UniDet's labels, found {first_line(error)!r}, in {file}; "
            "fix: lumina-eval data fetch unidet-labels"
        ) from error
    if len(names) != LABELS or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"expected {LABELS} names of UniDet's labels, found {len(names)}, in {file}; "
            "fix: lumina-eval data fetch unidet-labels"
        )
    return tuple(names)
