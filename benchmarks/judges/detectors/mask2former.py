"""Mask2Former as GenEval uses it: transformers' network between mmdet's way in and mmdet's way out.

The way out is ``instance_postprocess`` of mmdet 2.28.2 (``models/seg_heads/panoptic_fusion_heads/
maskformer_fusion_head.py``); transformers' own post-processing gives other scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.judges.detectors.coco import coco_name
from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.mmdet.names import UNUSED
from benchmarks.judges.detectors.mmdet.pixels import (
    DIVISOR,
    LONG,
    PADDING,
    SHORT,
    Prepared,
    padded_size,
    prepare,
)
from benchmarks.judges.detectors.network import NetworkDetector
from benchmarks.judges.loading import labels_of, load_model
from benchmarks.judges.precision import full_float32

#: Pairs of query and class that an image keeps (``test_cfg.max_per_image``).
MOST: Final = 100


class Mask2FormerDetector(NetworkDetector):
    """Instances with masks, by ``Mask2FormerForUniversalSegmentation`` in float32.

    The best 100 pairs of query and class of each image, by query and then by class; mmdet takes them in
    whatever order ``topk`` leaves them. No threshold, no suppression: a query may stand there under several
    classes. A box is tight around its mask (right and bottom exclusive), all zeros for an empty mask.
    """

    name = "mask2former"
    what = "Mask2Former"
    version = 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """What an image becomes, how much is kept of it, and what is computed in."""
        return {
            "resize": [LONG, SHORT],
            "pad_to": DIVISOR,
            "pad_with": PADDING,
            "max_per_image": MOST,
            "dtype": "float32",
            "device": self._device.partition(":")[0],
        }

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the network's scores, by COCO's names where they are COCO's."""
        return tuple(coco_name(label) or label for label in labels_of(self._folder, self.what))

    def _size_seen(self, image: Image.Image) -> tuple[int, int]:
        return padded_size(image.height, image.width)

    def _detect_batch(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        import torch

        prepared = [prepare(image) for image in images]
        pixels = torch.from_numpy(np.stack([one.pixels for one in prepared]))
        with full_float32():
            seen = self._model(pixel_values=pixels.to(self._device))
            return [
                instances(classes, masks, one, self.labels)
                for classes, masks, one in zip(
                    seen.class_queries_logits, seen.masks_queries_logits, prepared, strict=True
                )
            ]

    @cached_property
    def _model(self) -> Any:
        from transformers import Mask2FormerForUniversalSegmentation

        model = load_model(Mask2FormerForUniversalSegmentation, self._folder, self.what, UNUSED)
        return model.to(self._device)


def instances(class_logits: Any, mask_logits: Any, image: Prepared, labels: Sequence[str]) -> list[Detection]:
    """Turn the network's output for one image into detections.

    Args:
        class_logits: [queries, classes + 1], the last column is "no object".
        mask_logits: [queries, height / 4, width / 4] of the padded image.
        image: its sizes.
        labels: name of each class.
    """
    import torch

    chances = torch.softmax(class_logits, dim=-1)[:, :-1]
    classes = chances.shape[1]
    best = torch.topk(chances.flatten(), min(MOST, chances.numel()), sorted=False).indices.sort().values
    queries, place = torch.unique(best // classes, return_inverse=True)
    logits = _resized(mask_logits[queries], image.padded)[:, :, : image.resized[0], : image.resized[1]]
    logits = _resized(logits[0], image.original)[0]
    masks = logits > 0
    inside = (torch.sigmoid(logits) * masks).flatten(1).sum(1)
    mask_scores = inside / (masks.flatten(1).sum(1, dtype=torch.float32) + 1e-6)
    scores = (chances.flatten()[best] * mask_scores[place]).tolist()
    pictures = masks.cpu().numpy()
    boxes = [_tight_box(picture) for picture in pictures]
    return [
        Detection(boxes[row], score, labels[index], pictures[row])
        for row, index, score in zip(place.tolist(), (best % classes).tolist(), scores, strict=True)
    ]


def _resized(logits: Any, size: tuple[int, int]) -> Any:
    """Resize [n, h, w] bilinearly to [1, n, height, width]."""
    import torch

    return torch.nn.functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)


def _tight_box(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[float, float, float, float]:
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return (0.0, 0.0, 0.0, 0.0)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
