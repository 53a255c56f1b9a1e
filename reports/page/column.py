"""A column of the wall: one checkpoint, and what is known about each of its images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from lumina_eval.errors import is_user_error
from lumina_eval.records import Item, Score, Verdict
from reports.gallery import divide, is_binary
from reports.loading import RunView
from reports.numbers import digits, fixed
from reports.page.choice import Place
from reports.page.embedded import EmbeddedImages
from reports.page.reasons import reason
from reports.pictures import overlay
from reports.stored import StoredImages, decoded


@dataclasses.dataclass(frozen=True)
class Column:
    """What a run knows about each of its images, by (item id, index)."""

    run: RunView
    label: str
    verdicts: Mapping[Place, Verdict]
    scores: Mapping[Place, Score]
    right: frozenset[Place]
    states: tuple[str, str]
    lines: Mapping[Place, Mapping[str, Any]]
    draw: Callable[..., Image.Image] | None

    @staticmethod
    def of(run: RunView, label: str) -> Column:
        """Read what a run knows."""
        verdicts = {(one.item_id, one.index): one for one in run.verdicts}
        scores = {p: one for one in run.scores if (p := (one.item_id, one.index)) in verdicts}
        # Official result lines have no key of ours: they are one line an image in the verdicts' order, or
        # something else altogether.
        lines = dict(zip(verdicts, run.results, strict=True)) if len(run.results) == len(verdicts) else {}
        by_task: dict[str, list[Score]] = {}
        for score in scores.values():
            by_task.setdefault(score.task, []).append(score)
        right = {(s.item_id, s.index) for several in by_task.values() for s in divide(several)[0]}
        binary = is_binary(list(scores.values()))
        return Column(run, label, verdicts, scores, frozenset(right), states_of(binary), lines, run.draw)

    def tile(
        self, place: Place, item: Item | None, stored: StoredImages, embedded: EmbeddedImages
    ) -> dict[str, Any]:
        """Say what stands at a place of this column."""
        verdict, score = self.verdicts.get(place), self.scores.get(place)
        state = "none" if score is None else self.states[0 if place in self.right else 1]
        image, marks, why = None, None, ""
        found = self._file(place, verdict, stored)
        if isinstance(found, str):
            why = found
        else:
            image = embedded.add_image(found)
            drawn = self._marks(found, item, verdict)
            marks = None if drawn is None else embedded.add_marks(drawn)
        return {
            "state": state,
            "said": self._said(place, verdict, score),
            "reason": ""
            if verdict is None or state == "right"
            else reason(verdict, self.lines.get(place, {})),
            "image": image,
            "marks": marks,
            "why": why,
        }

    def _file(self, place: Place, verdict: Verdict | None, stored: StoredImages) -> bytes | str:
        step, why = self.run.failures.get(place, ("", ""))
        if step == "generate":
            return f"failed: {why}"
        if verdict is None and place not in self.run.keys:
            return f"failed: {why}" if why else "not asked of this checkpoint"
        return stored.file(self.run, place, verdict.image_sha256 if verdict else None)

    def _said(self, place: Place, verdict: Verdict | None, score: Score | None) -> str:
        if verdict is None:
            step, why = self.run.failures.get(place, ("", ""))
            return f"no verdict: {why}" if step == "judge" else "no verdict"
        if score is None:
            return "judged with its set"
        if self.states == ("right", "wrong"):
            return "✓ right" if place in self.right else "✗ wrong"
        metric = self.run.result.metrics[0] if self.run.result.metrics else None
        half = "upper half" if place in self.right else "lower half"
        return f"{fixed(score.value, digits(metric.unit if metric else 'fraction'))}, {half}"

    def _marks(self, data: bytes, item: Item | None, verdict: Verdict | None) -> bytes | None:
        image = decoded(data)
        if image is None or item is None or verdict is None or self.draw is None:
            return None
        try:
            return overlay(image, self.draw(image, item, verdict, self.run.protocol))
        except Exception as error:
            if not is_user_error(error):
                raise
            return None


def states_of(binary: bool) -> tuple[str, str]:
    """Return what a tile is called that is in the better part and in the other; scores may be no verdicts."""
    return ("right", "wrong") if binary else ("upper", "lower")
