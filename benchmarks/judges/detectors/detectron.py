"""Detectors of detectron2, by the name of a config in its model zoo or by a config file of one's own.

The only file that imports detectron2. There is no release of it on a registry: it is built from source,
against the torch that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.judges.detectors.coco import coco_name
from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Raised whenever the same weights and settings give other detections.
VERSION: Final = 1
#: The commit that is tried (``nox -s detectron2``).
COMMIT: Final = "02b5c4e2"
INSTALL: Final = (
    "pip install --no-build-isolation "
    f'"git+https://github.com/facebookresearch/detectron2.git@{COMMIT}" in an environment that has torch'
)


class Detectron2Detector:
    """Boxes, and masks where the model has them, in the order of the model, above no threshold."""

    name = "detectron2"

    def __init__(self, weights: str, device: str = "auto") -> None:
        """Check ``weights``: ``CONFIG`` or ``CONFIG:WEIGHTS``.

        CONFIG is a YAML file, or a name of the model zoo such as
        ``COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml``; WEIGHTS is a file, and without it the zoo's
        own are fetched by detectron2. Raises UserError if detectron2 or a file is absent.
        """
        self._zoo = _detectron2()
        self._config_name, _, self._weights = weights.partition(":")
        if self._weights and not Path(self._weights).is_file():
            raise UserError(
                f"expected weights for detectron2, found no file {self._weights}; "
                "fix: --set judge.weights=CONFIG:FILE"
            )
        self._device = device_of(device)

    @cached_property
    def digest(self) -> str:
        """Sha256 of the config with every default, the weights, and the version of this file's procedure."""
        config = self._config
        weights = sha256_file(Path(self._weights)) if self._weights else config.MODEL.WEIGHTS
        return digest_of({"version": VERSION, "config": config.dump(), "weights": weights})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is computed in."""
        return {
            "config": self._config_name,
            "dtype": "float32",
            "device": self._device.partition(":")[0],
        }

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the model's scores, by COCO's names where they are COCO's."""
        from detectron2.data import MetadataCatalog

        names = MetadataCatalog.get(self._config.DATASETS.TRAIN[0]).thing_classes
        return tuple(coco_name(name) or name for name in names)

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has; images are seen one at a time."""
        found = []
        for image in images:
            with full_float32():
                # A default predictor takes BGR, as OpenCV reads it.
                seen = self._predictor(np.asarray(image.convert("RGB"))[:, :, ::-1])["instances"].to("cpu")
            masks = seen.pred_masks.numpy() if seen.has("pred_masks") else [None] * len(seen)
            rows = zip(
                seen.pred_boxes.tensor.tolist(), seen.scores.tolist(), seen.pred_classes.tolist(), masks,
                strict=True,
            )  # fmt: skip
            found.append([Detection(tuple(box), score, self.labels[i], mask) for box, score, i, mask in rows])
        return found

    @cached_property
    def _config(self) -> Any:
        from detectron2.config import get_cfg

        config = get_cfg()
        path = Path(self._config_name)
        try:
            config.merge_from_file(
                str(path) if path.is_file() else self._zoo.get_config_file(self._config_name)
            )
        except (RuntimeError, KeyError, OSError, ValueError) as error:
            raise UserError(
                f"expected a config of detectron2, found {first_line(error)!r}, for "
                f"{self._config_name}; fix: --set judge.weights=FILE.yaml, or a name of the model zoo"
            ) from error
        if self._weights:
            config.MODEL.WEIGHTS = self._weights
        elif not path.is_file():
            config.MODEL.WEIGHTS = self._zoo.get_checkpoint_url(self._config_name)
        config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
        config.MODEL.RETINANET.SCORE_THRESH_TEST = 0.0
        config.MODEL.DEVICE = self._device
        return config

    @cached_property
    def _predictor(self) -> Any:
        from detectron2.engine import DefaultPredictor

        return DefaultPredictor(self._config)


def _detectron2() -> Any:
    """Return detectron2's model zoo."""
    try:
        from detectron2 import model_zoo
    except ImportError as error:
        raise UserError(
            f"expected detectron2 for judge.detector=detectron2, found {error}; fix: {INSTALL}; "
            "nox -s detectron2 does so"
        ) from error
    return model_zoo
