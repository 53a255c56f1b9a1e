"""From answers to the outcome of an item, and from outcomes to categories, by the choices of a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.dpg.questions import TASK, Question
from benchmarks.dpg.rules import (
    LATER_BLOCKS,
    LaterBlock,
    MissingParentError,
    crop_score,
    item_score,
    raw_scores,
    with_dependencies,
)
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.statistics.ratios import Part

CategoryCrops = Literal["last", "all"]
UnknownItems = Literal["excluded", "refused"]


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of a protocol: the official ones are the defaults."""

    skip_first_row: bool = True
    """Pass over the first question of the file."""
    later_block: LaterBlock = "replaces"
    """What a later block of rows of an item does to the earlier one."""
    unknown_items: UnknownItems = "excluded"
    """What becomes of a verdict for an item that the file does not have."""
    category_crops: CategoryCrops = "last"
    """Which images of an item the categories are made of."""
    category_dependencies: bool = False
    """Whether a question of which a parent has 0 counts as 0 in the categories too."""


_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "later_block": LATER_BLOCKS,
    "unknown_items": ("excluded", "refused"),
    "category_crops": ("last", "all"),
}
_SWITCHES: Final = ("skip_first_row", "category_dependencies")


def options_of(protocol: ResolvedProtocol) -> Options:
    """Return the choices of a protocol; UserError for one that there is not."""
    values: dict[str, Any] = {name: protocol.value(name) for name in (*_WORDS, *_SWITCHES)}
    for name, words in _WORDS.items():
        if values[name] not in words:
            raise unknown(f"{name} in protocol {protocol.name}:", str(values[name]), words)
    for name in _SWITCHES:
        if not isinstance(values[name], bool):
            raise UserError(
                f"expected true or false for {name}, found {values[name]!r}, in protocol {protocol.name}; "
                "fix: set it as the official protocol does"
            )
    return Options(**values)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say of one item: a score for each image, or why the protocol drops it."""

    item_id: str
    crops: tuple[int, ...]
    scores: tuple[float, ...] = ()
    """By image, 0 to 1; empty if the item is dropped."""
    parts: tuple[tuple[str, Part], ...] = ()
    """What each image adds to each detailed category."""
    excluded: str = ""
    """Why the item is dropped."""
    task: str = TASK
    """The item's stratum."""
    split: str | None = None
    """The item's split, where the protocol has any."""

    @property
    def average(self) -> float:
        """The item's score, 0 to 1."""
        return item_score(self.scores)


def outcome(
    item_id: str, questions: Sequence[Question], answers: Mapping[int, Mapping[str, str]], options: Options
) -> Outcome:
    """Score one item from the answers for each of its images, by number; ``questions`` are those asked."""
    crops = tuple(sorted(answers))
    if not questions:
        return Outcome(item_id, crops, excluded="none of its questions is asked")
    scores, parts = [], []
    for crop in crops:
        raw = raw_scores(questions, answers[crop])
        try:
            dependent = with_dependencies(questions, raw)
        except MissingParentError as error:
            return Outcome(item_id, crops, excluded=str(error))
        scores.append(crop_score(dependent))
        counted = options.category_crops == "all" or crop == crops[-1]
        told = dependent if options.category_dependencies else raw
        parts += _parts(item_id, crop, questions, told, counted)
    return Outcome(item_id, crops, tuple(scores), tuple(parts))


def _parts(
    item_id: str, crop: int, questions: Sequence[Question], scores: Mapping[int, float], counted: bool
) -> list[tuple[str, Part]]:
    """Pool the questions of one image by category (compute_dpg_bench.py, 207 to 211)."""
    hits: dict[str, list[float]] = {}
    for question in questions:
        hits.setdefault(question.category, []).append(scores[question.id])
    return [
        (category, Part(item_id, crop, sum(values), len(values), counted))
        for category, values in hits.items()
    ]
