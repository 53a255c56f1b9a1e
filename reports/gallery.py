"""Images that a reader can check by eye: right and wrong ones of each task, with what the judge saw.

The choice is a balanced sample, drawn by hash: no one picked the pretty ones, and every checkpoint shows the
same prompts where it can.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from PIL import Image

from lumina_eval.errors import is_user_error
from lumina_eval.records import Score, Verdict
from reports.groups import Group
from reports.loading import RunView
from reports.pictures import overlay, png

#: Images of one task and one checkpoint: half of them right and half of them wrong where there are so many.
PER_TASK: Final = 6

#: Checkpoints, and ceilings, in one gallery: the page has to stay one that can be sent by mail.
MOST_RUNS: Final = 4

#: Part of every hash; another value would show another sample.
SALT: Final = "gallery 1"

FindImage = Callable[[RunView, Verdict], Image.Image | None]


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image with its prompt and its judgement. ``marks`` is a transparent PNG to lay over ``image``."""

    name: str
    prompt: str
    right: bool
    verdict: str
    reason: str
    image: bytes
    marks: bytes | None


@dataclasses.dataclass(frozen=True)
class Strip:
    """Pictures of one checkpoint on one task, and how many there were to choose from."""

    label: str
    right: int
    total: int
    words: tuple[str, str]
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class TaskGallery:
    """One task: a strip for each checkpoint."""

    task: str
    strips: tuple[Strip, ...]


def galleries(group: Group, find_image: FindImage, per_task: int = PER_TASK) -> tuple[TaskGallery, ...]:
    """Return a gallery for each task of a group; tasks of which no image is left are not in it."""
    runs = (*group.milestones[-MOST_RUNS:], *group.ceilings[-MOST_RUNS:])
    tasks = list(dict.fromkeys(score.task for run in runs for score in run.scores))
    judged = [_Judged.of(run, group.label(run)) for run in runs]
    made = []
    for task in tasks:
        strips = [strip for one in judged if (strip := _strip(one, task, find_image, per_task)) is not None]
        if strips:
            made.append(TaskGallery(task, tuple(strips)))
    return tuple(made)


def choose(scores: Sequence[Score], how_many: int) -> list[tuple[Score, bool]]:
    """Choose scores of one task, right ones first, each with whether it is right.

    Half of each where there are enough; as few images of one prompt as possible; the order of ``scores``
    does not matter.
    """
    right, wrong = divide(scores)
    half = how_many // 2
    few_right = min(len(right), max(half, how_many - len(wrong)))
    few_wrong = min(len(wrong), how_many - few_right)
    return [(s, True) for s in _drawn(right, few_right)] + [(s, False) for s in _drawn(wrong, few_wrong)]


def divide(scores: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Divide into right and wrong; scores that are not 0 or 1 into those above the median and the others."""
    border = 0.5 if is_binary(scores) else statistics.median(score.value for score in scores)
    return [s for s in scores if s.value > border], [s for s in scores if s.value <= border]


def is_binary(scores: Sequence[Score]) -> bool:
    """True if every score is 0 or 1."""
    return {score.value for score in scores} <= {0.0, 1.0}


def _drawn(scores: Sequence[Score], how_many: int) -> list[Score]:
    """Draw by hash: the first image of each prompt before the second of any."""
    order = sorted(scores, key=lambda score: _hash(score.item_id, score.index))
    seen: dict[str, int] = {}
    ranked = []
    for place, score in enumerate(order):
        ranked.append((seen.get(score.item_id, 0), place, score))
        seen[score.item_id] = seen.get(score.item_id, 0) + 1
    return [score for _, _, score in sorted(ranked, key=lambda entry: entry[:2])[:how_many]]


def _hash(item_id: str, index: int) -> str:
    # The prompt decides first, so that the same prompts come up for every checkpoint.
    prompt = hashlib.sha256(f"{SALT}/{item_id}".encode()).hexdigest()
    return prompt + hashlib.sha256(f"{SALT}/{item_id}/{index}".encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class _Judged:
    """What a run knows about each image, by (item id, index)."""

    run: RunView
    label: str
    verdicts: Mapping[tuple[str, int], Verdict]
    rows: Mapping[tuple[str, int], Mapping[str, Any]]
    draw: Callable[..., Image.Image] | None

    @staticmethod
    def of(run: RunView, label: str) -> _Judged:
        keys = [(verdict.item_id, verdict.index) for verdict in run.verdicts]
        # Official result lines have no key of ours: they are one line an image in the verdicts' order, or
        # something else altogether.
        rows = dict(zip(keys, run.results, strict=True)) if len(run.results) == len(keys) else {}
        return _Judged(run, label, dict(zip(keys, run.verdicts, strict=True)), rows, run.draw)


def _strip(judged: _Judged, task: str, find_image: FindImage, per_task: int) -> Strip | None:
    scores = [s for s in judged.run.scores if s.task == task and (s.item_id, s.index) in judged.verdicts]
    if not scores:
        return None
    words = ("right", "wrong") if is_binary(scores) else ("upper half", "lower half")
    pictures = []
    for score, right in choose(scores, per_task):
        verdict = judged.verdicts[score.item_id, score.index]
        image = find_image(judged.run, verdict)
        if image is not None:
            pictures.append(_picture(judged, score, verdict, image, right, words[0 if right else 1]))
    if not pictures:
        return None
    return Strip(judged.label, len(divide(scores)[0]), len(scores), words, tuple(pictures))


def _picture(
    judged: _Judged, score: Score, verdict: Verdict, image: Image.Image, right: bool, word: str
) -> Picture:
    row = judged.rows.get((score.item_id, score.index), {})
    item = judged.run.items.get(score.item_id)
    marks = None
    if item is not None and judged.draw is not None:
        try:
            marks = overlay(image, judged.draw(image, item, verdict, judged.run.protocol))
        except Exception as error:
            if not is_user_error(error):
                raise
    prompt = item.prompt if item is not None else str(row.get("prompt") or score.item_id)
    return Picture(
        name=f"{score.item_id}/{score.index}",
        prompt=prompt,
        right=right,
        verdict=word,
        reason="" if right else str(row.get("reason") or "").replace("\n", "; "),
        image=png(image),
        marks=marks,
    )
