"""From images to verdicts: a journal that a kill cannot spoil, then one file in plan order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lumina_eval.digests import canonical_json, digest_of
from lumina_eval.errors import is_user_error, reason_of
from lumina_eval.files import append_lines, valid_lines, write_lines
from lumina_eval.plugins import Judge
from lumina_eval.progress import Advance
from lumina_eval.records import Item, Verdict
from lumina_eval.store import StoredImage


@dataclasses.dataclass(frozen=True)
class Sight:
    """One image to be judged: whose it is, its sha256 (None if it is missing), and how to read it."""

    item: Item
    index: int
    sha256: str | None
    read: Callable[[], StoredImage | None]

    @property
    def place(self) -> tuple[str, int]:
        """Return what names the image within a run."""
        return self.item.id, self.index


@dataclasses.dataclass(frozen=True)
class Judged:
    """The verdicts in plan order, and what has none."""

    verdicts: list[Verdict]
    failed: Mapping[tuple[str, int], str]
    """(item id, index) to why there is no verdict."""


def judge_label(judge: Judge) -> str:
    """Return ``name@`` and 12 hex digits of digest and settings: verdicts of equal labels are alike."""
    return f"{judge.name}@{digest_of([judge.digest, dict(judge.settings)])[:12]}"


def kept_verdicts(journal: Path, label: str, sights: Sequence[Sight]) -> dict[tuple[str, int], Verdict]:
    """Read the verdicts that still hold: whole lines by this judge about images as they are now."""
    now = {sight.place: sight.sha256 for sight in sights}
    kept = {}
    for _, value in valid_lines(journal):
        try:
            verdict = Verdict.model_validate(value)
        except ValidationError:
            break
        place = (verdict.item_id, verdict.index)
        if verdict.judge == label and place in now and verdict.image_sha256 == now[place]:
            kept[place] = verdict
    return kept


def judge_images(
    sights: Sequence[Sight], judge: Judge, journal: Path, batch_size: int, advance: Advance
) -> Judged:
    """Judge every image that has no verdict yet.

    Verdicts are appended to ``journal`` batch by batch and synced; at the end the file is written anew in
    plan order. Batches are cut from the images that are there, and a batch with one verdict missing is judged
    whole.
    """
    label = judge_label(judge)
    verdicts = kept_verdicts(journal, label, sights)
    write_lines(journal, [verdict_line(v) for v in verdicts.values()])
    failed = {sight.place: "no image" for sight in sights if sight.sha256 is None}
    seen = [sight for sight in sights if sight.sha256 is not None]
    for start in range(0, len(seen), batch_size):
        batch = seen[start : start + batch_size]
        if all(sight.place in verdicts for sight in batch):
            continue
        left = sum(sight.place not in verdicts for sight in batch)
        new = _judge_batch(batch, judge, label, failed)
        new = [verdict for verdict in new if (verdict.item_id, verdict.index) not in verdicts]
        append_lines(journal, [verdict_line(verdict) for verdict in new])
        verdicts.update({(verdict.item_id, verdict.index): verdict for verdict in new})
        advance(left)
    ordered = [verdicts[sight.place] for sight in sights if sight.place in verdicts]
    write_lines(journal, [verdict_line(verdict) for verdict in ordered])
    return Judged(ordered, {place: why for place, why in failed.items() if place not in verdicts})


def verdict_line(verdict: Verdict) -> str:
    """Return a verdict as a line of ``verdicts.jsonl``; foreign objects in it keep their order."""
    return verdict.model_dump_json()


def _judge_batch(
    batch: Sequence[Sight], judge: Judge, label: str, failed: dict[tuple[str, int], str]
) -> list[Verdict]:
    """Judge the readable images of a batch; add what failed to ``failed``, image by image."""
    shown = []
    outputs: list[dict[str, Any] | Exception]
    for sight in batch:
        stored = sight.read()
        if stored is None:
            failed[sight.place] = "the image cannot be read"
        else:
            shown.append((sight, stored))
    if not shown:
        return []
    try:
        seen = judge.judge([stored.image for _, stored in shown], [sight.item for sight, _ in shown])
        outputs = [output if isinstance(output, Exception) else dict(output) for output in seen]
        if len(outputs) != len(shown):
            raise ValueError(f"expected {len(shown)} verdicts from {judge.name}, found {len(outputs)}")
        # raises on NaN and on what is no JSON
        canonical_json([output for output in outputs if not isinstance(output, Exception)])
    except Exception as error:
        outputs = [error] * len(shown)
    for (sight, _), output in zip(shown, outputs, strict=True):
        if isinstance(output, Exception):
            if is_user_error(output):
                raise output
            failed[sight.place] = reason_of(output)
    return [
        Verdict(
            item_id=sight.item.id,
            index=sight.index,
            image_sha256=stored.sha256,
            judge=label,
            output=output,
        )
        for (sight, stored), output in zip(shown, outputs, strict=True)
        if not isinstance(output, Exception)
    ]
