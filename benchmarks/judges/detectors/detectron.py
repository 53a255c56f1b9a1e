"""Detectors of detectron2, by the name of a config in its model zoo or by a config file of one's own.

There is no release of detectron2 on a registry: it is built from source, against the torch that is installed.
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
from benchmarks.judges.detectors.detectron_weights import load_whole
from benchmarks.judges.offline import refuse_offline
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Raised whenever the same weights and settings give other detections.
VERSION: Final = 2
#: The name of weights that nobody has trained, and what stands for them in digest and settings.
RANDOM: Final = "random"
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
        """Check ``weights``: ``CONFIG``, ``CONFIG:WEIGHTS`` or ``CONFIG:random``.

        CONFIG is a YAML file, or a name of the model zoo such as
        ``COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml``. WEIGHTS is a file or an address that
        detectron2 knows; without it the zoo's own are taken, or those that a YAML file names
        (``MODEL.WEIGHTS``), and what is not here yet is fetched by detectron2. A ``.pkl`` is unpickled,
        which runs what it holds. ``random`` is for trials: it stands in the settings of every verdict.

        Raises UserError if detectron2 or a file is absent.
        """
        self._zoo = require_detectron2("detectron2")
        self._config_name, _, self._weights = weights.partition(":")
        self._device = device_of(device)

    @cached_property
    def digest(self) -> str:
        """Sha256 of the config with every default, the weights, and the version of this file's procedure."""
        config = self._config.clone()
        config.MODEL.WEIGHTS = config.MODEL.DEVICE = ""
        weights = RANDOM if self._file is None else sha256_file(self._file)
        return digest_of({"version": VERSION, "config": config.dump(), "weights": weights})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is computed in, and whether the weights are any at all."""
        return {
            "config": self._config_name,
            **({"weights": RANDOM} if self._file is None else {}),
            "dtype": "float32",
            "device": self._device.partition(":")[0],
        }

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the model's scores, by COCO's names where they are COCO's."""
        from detectron2.data import MetadataCatalog

        try:
            names = MetadataCatalog.get(self._config.DATASETS.TRAIN[0]).thing_classes
        except (AttributeError, IndexError) as error:
            raise UserError(
                f"expected a dataset that detectron2 knows the classes of, found {first_line(error)!r}, in "
                f"DATASETS.TRAIN of {self._config_name}; fix: name the one that the model was trained on"
            ) from error
        return tuple(coco_name(name) or name for name in names)

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Return what each image has; images are seen one at a time."""
        found = []
        for image in images:
            with full_float32():
                seen = self._seen(image).to("cpu")
            masks = seen.pred_masks.numpy() if seen.has("pred_masks") else [None] * len(seen)
            rows = zip(
                seen.pred_boxes.tensor.tolist(), seen.scores.tolist(), seen.pred_classes.tolist(), masks,
                strict=True,
            )  # fmt: skip
            found.append([Detection(tuple(box), score, self.labels[i], mask) for box, score, i, mask in rows])
        return found

    def _seen(self, image: Image.Image) -> Any:
        """Return detectron2's own record of what an image has."""
        import torch

        model, resize = self._loaded
        picture = np.asarray(image.convert("RGB"))
        if self._config.INPUT.FORMAT == "BGR":
            picture = picture[:, :, ::-1]
        pixels = resize.get_transform(picture).apply_image(picture).astype("float32").transpose(2, 0, 1)
        given = {"image": torch.as_tensor(pixels), "height": image.height, "width": image.width}
        return model([given])[0]["instances"]

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
            config.MODEL.WEIGHTS = "" if self._weights == RANDOM else self._weights
        elif not path.is_file():
            config.MODEL.WEIGHTS = self._zoo.get_checkpoint_url(self._config_name)
        config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
        config.MODEL.RETINANET.SCORE_THRESH_TEST = 0.0
        config.MODEL.DEVICE = self._device
        return config

    @cached_property
    def _file(self) -> Path | None:
        """The weights on disk, fetched if they are not here; None for random ones."""
        from detectron2.utils.file_io import PathManager

        named = self._config.MODEL.WEIGHTS
        if self._weights == RANDOM:
            return None
        if not named:
            raise UserError(
                f"expected weights for detectron2, found MODEL.WEIGHTS empty, in {self._config_name}; "
                f"fix: --set judge.weights={self._config_name}:FILE"
            )
        refuse_offline("detectron2", named, f"--set judge.weights={self._config_name}:FILE")
        try:
            file = Path(PathManager.get_local_path(named))
        except Exception as error:  # an address has many ways to fail, all of them the user's to mend
            raise UserError(
                f"cannot get weights for detectron2: {first_line(error)}, at {named}; "
                f"fix: --set judge.weights={self._config_name}:FILE"
            ) from error
        if not file.is_file():
            raise UserError(
                f"expected weights for detectron2, found no file {named}; "
                f"fix: --set judge.weights={self._config_name}:FILE"
            )
        return file

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The model for evaluation, and what resizes an image for it."""
        import torch
        from detectron2.data.transforms import ResizeShortestEdge
        from detectron2.modeling import build_model

        sizes = self._config.INPUT
        resize = ResizeShortestEdge([sizes.MIN_SIZE_TEST, sizes.MIN_SIZE_TEST], sizes.MAX_SIZE_TEST)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # so that random weights are the same in every process
            model = build_model(self._config).eval()
        if self._file is not None:
            load_whole(model, self._file)
        return model, resize


def require_detectron2(detector: str) -> Any:
    """Return detectron2's model zoo; UserError with the way to it where it is absent."""
    try:
        from detectron2 import model_zoo
    except ImportError as error:
        if error.name == "pkg_resources":
            raise UserError(
                "expected pkg_resources, which detectron2's model zoo imports and setuptools has until "
                "version 80, found none; fix: pip install 'setuptools<81'"
            ) from error
        raise UserError(
            f"expected detectron2 for judge.detector={detector}, found {error}; fix: {INSTALL}; "
            "nox -s detectron2 does so"
        ) from error
    return model_zoo
