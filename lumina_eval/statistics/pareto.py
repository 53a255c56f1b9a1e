"""Score against cost: what an image took, and which checkpoints no other one beats on both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumina_eval.files import valid_lines
from lumina_eval.records import Record
from lumina_eval.runs import read_manifest


class Cost(Record):
    """What an image of a run cost, as it was measured when it was made."""

    seconds_per_image: float | None
    """Wall clock over the images that this run made; None if it made none, or if its timings are not here."""
    images_made: int | None
    """By this run; the others came from the image store. None if its timings are not here."""
    on_front: bool | None = None
    """No other run of the comparison is as good and as cheap, and better or cheaper; None if unknown."""

    @property
    def in_words(self) -> str:
        """The seconds, or why they are unknown."""
        if self.seconds_per_image is not None:
            return f"{self.seconds_per_image:.3g}"
        return (
            f"unknown ({'images came from the store' if self.images_made == 0 else 'timings are not here'})"
        )


def cost_of(run_dir: Path) -> Cost:
    """Read what the images of a run cost from its ``timings.jsonl``.

    Where that is missing, as in runs that an older version sent to MLflow, the manifest of a finished run
    still says whether it made any.
    """
    if not (run_dir / "timings.jsonl").is_file():
        manifest = read_manifest(run_dir)
        made_none = manifest.finished is not None and manifest.seconds.generate is None
        return Cost(seconds_per_image=None, images_made=0 if made_none else None)
    made, seconds = 0, 0.0
    for _, line in valid_lines(run_dir / "timings.jsonl"):
        if line["step"] == "generate":
            made += int(line["images"])
            seconds += float(line["seconds"])
    return Cost(seconds_per_image=seconds / made if made else None, images_made=made)


def front(values: Sequence[float], costs: Sequence[Cost], lower_is_better: bool = False) -> list[Cost]:
    """Mark the runs on the Pareto front of score and seconds, among those whose seconds are known.

    Nothing is marked where fewer than two are known.
    """
    sign = -1.0 if lower_is_better else 1.0
    points = [(sign * value, cost.seconds_per_image) for value, cost in zip(values, costs, strict=True)]
    known = [(score, seconds) for score, seconds in points if seconds is not None]
    if len(known) < 2:
        return list(costs)
    return [
        cost.model_copy(update={"on_front": None if seconds is None else not _beaten(score, seconds, known)})
        for cost, (score, seconds) in zip(costs, points, strict=True)
    ]


def _beaten(score: float, seconds: float, others: Sequence[tuple[float, float]]) -> bool:
    return any(
        other >= score and cost <= seconds and (other > score or cost < seconds) for other, cost in others
    )
