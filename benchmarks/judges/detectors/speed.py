"""What batching brings a detector, and what it costs: ``lumina-eval assets speed WEIGHTS IMAGES``.

Both ways run in turn, in one process on one device, so the ratio says something where the seconds do not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.judges.detectors.detection import Detection, Detector
from benchmarks.judges.detectors.mask2former import Mask2FormerDetector
from lumina_eval.errors import UserError

#: GenEval's thresholds; a detection that is on the other side of one is a flip.
THRESHOLDS = (0.3, 0.9)


def measure(
    single: Detector, batched: Detector, images: Sequence[Image.Image], rounds: int
) -> dict[str, Any]:
    """Detect by both, alternating; return seconds per image (best round), their ratio, and what differs.

    ``flips`` counts thresholds that the number of detections above differs at, over images and classes;
    ``largest_difference`` is that of the scores of a class, sorted.
    """
    seconds: dict[str, list[float]] = {"single": [], "batched": []}
    found: dict[str, list[list[Detection]]] = {}
    single.detect(images[:1])
    batched.detect(images[:1])
    for _ in range(rounds):
        for name, detector in (("single", single), ("batched", batched)):
            start = time.perf_counter()
            found[name] = detector.detect(images)
            seconds[name].append((time.perf_counter() - start) / len(images))
    flips, largest = 0, 0.0
    for one, other in zip(found["single"], found["batched"], strict=True):
        for label in {detection.label for detection in (*one, *other)}:
            scores = [sorted(d.score for d in side if d.label == label) for side in (one, other)]
            flips += sum(
                sum(score > threshold for score in scores[0]) != sum(score > threshold for score in scores[1])
                for threshold in THRESHOLDS
            )
            if len(scores[0]) == len(scores[1]):
                largest = max([largest, *(abs(a - b) for a, b in zip(*scores, strict=True))])
    best = {name: min(times) for name, times in seconds.items()}
    return {
        "images": len(images),
        "seconds_per_image": best,
        "ratio": best["single"] / best["batched"],
        "flips": flips,
        "largest_difference": largest,
    }


def compare(
    weights: str, folder: Path, batch_size: int, count: int, rounds: int, device: str
) -> dict[str, Any]:
    """Measure Mask2Former on the first ``count`` PNG images below ``folder``.

    Raises UserError if there are no images, or no weights.
    """
    files = sorted(folder.rglob("*.png"))[:count]
    if not files:
        raise UserError(f"expected PNG images in {folder}, found none; fix: name another folder")
    images = [Image.open(file).convert("RGB") for file in files]
    single = Mask2FormerDetector(weights, device, batch_size=1)
    batched = Mask2FormerDetector(weights, device, batch_size=batch_size)
    told = {"batch_size": batch_size, "settings": dict(batched.settings)}
    return {**told, **measure(single, batched, images, rounds)}
