"""The 80 object classes of COCO, and the other spellings of them that published detectors use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lumina_eval.errors import UserError

#: In the order of COCO's category ids, as detectors number them from 0.
COCO: Final = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

#: Other names of the same classes: those of Pascal VOC, of LVIS and Objects365, and of GenEval.
ALIASES: Final = {
    "aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "television": "tv",
    "television set": "tv", "tvmonitor": "tv", "tv monitor": "tv", "pottedplant": "potted plant",
    "diningtable": "dining table", "cellular telephone": "cell phone", "mobile phone": "cell phone",
    "cellphone": "cell phone", "hair dryer": "hair drier", "doughnut": "donut", "hotdog": "hot dog",
    "wineglass": "wine glass", "stoplight": "traffic light", "ski": "skis", "fridge": "refrigerator",
    "laptop computer": "laptop", "computer mouse": "mouse", "tv remote": "remote",
    "remote control": "remote", "computer keyboard": "keyboard",
}  # fmt: skip

_NAMES: Final = {**{name: name for name in COCO}, **ALIASES}


def coco_name(label: str) -> str | None:
    """Return COCO's name for a detector's label, None if it is none of the 80 classes.

    >>> coco_name("Motorbike"), coco_name("computer_mouse"), coco_name("wall")
    ('motorcycle', 'mouse', None)
    """
    return _NAMES.get(" ".join(label.lower().replace("_", " ").split()))


def check_labels(labels: Iterable[str], where: str) -> None:
    """Raise UserError unless every class of COCO is among a detector's labels."""
    known = {coco_name(label) for label in labels}
    missing = [name for name in COCO if name not in known]
    if missing:
        raise UserError(
            f"expected a detector of COCO's 80 classes, found none for {', '.join(missing[:5])}"
            f"{f' and {len(missing) - 5} more' if len(missing) > 5 else ''}, in {where}; "
            "fix: take weights whose config.json names the classes (id2label)"
        )
