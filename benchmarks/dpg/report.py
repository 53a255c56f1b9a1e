"""What a run says of its outcomes: metrics, results by item, the official summary, warnings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.dpg.questions import Question, broad_category
from benchmarks.dpg.rules import NO, YES, dpg_score
from benchmarks.dpg.scoring import Outcome
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Interval, Item, Metric, Score
from lumina_eval.statistics.means import metric
from lumina_eval.statistics.ratios import Part, pooled_ratio

UNIT: Final = "percent"
#: How many of a kind a warning spells out; results.jsonl has them all.
_SHOWN: Final = 10


def scores_of(outcomes: Sequence[Outcome]) -> list[Score]:
    """Return a score for each image of the items that count, 0 to 100."""
    return [
        Score(item_id=one.item_id, task=one.task, index=crop, value=100 * score, split=one.split)
        for one in outcomes
        if not one.excluded
        for crop, score in zip(one.crops, one.scores, strict=True)
    ]


def metrics_of(outcomes: Sequence[Outcome]) -> list[Metric]:
    """Return ``overall``, and ``l1/…`` and ``l2/…`` for each category that was asked for, by name.

    Where items have splits, ``seen/overall`` and ``unseen/overall`` come last.
    """
    splits = sorted({one.split for one in outcomes if one.split is not None})
    broad: dict[str, list[Part]] = {}
    detailed: dict[str, list[Part]] = {}
    for one in outcomes:
        pooled: dict[tuple[str, int], Part] = {}
        for category, part in one.parts:
            detailed.setdefault(category, []).append(part)
            group = broad_category(category)
            before = pooled.get((group, part.index))
            pooled[group, part.index] = _sum(before, part) if before else part
        for (group, _), part in pooled.items():
            broad.setdefault(group, []).append(part)
    return [
        _overall(outcomes),
        *(pooled_ratio(f"l1/{name}", broad[name], UNIT) for name in sorted(broad)),
        *(pooled_ratio(f"l2/{name}", detailed[name], UNIT) for name in sorted(detailed)),
        *(_overall([one for one in outcomes if one.split == split], f"{split}/overall") for split in splits),
    ]


def result_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a JSON line for each item: what a line of the official result file says, 0 to 1."""
    return [
        json.dumps(
            {
                "item_id": one.item_id,
                "crops": one.crops,
                "crop_scores": one.scores,
                "average": None if one.excluded else one.average,
                "excluded": one.excluded or None,
            },
            ensure_ascii=False,
        )
        for one in outcomes
    ]


def summary_text(metrics: Sequence[Metric]) -> str:
    """Return what the official script prints, without the lines that name folders (237 to 249).

    The official order of the L1 categories is that of a Python set; here they are in alphabetical order.
    """
    if metrics[0].value is None:
        return ""
    lines = []
    for level in ("l1", "l2"):
        lines.append(f"{level.upper()} category scores:")
        named = [one for one in metrics if one.name.startswith(f"{level}/")]
        lines += [f"\t{one.name.partition('/')[2]}: {one.value}" for one in named]
    return "\n".join([*lines, f"DPG-Bench score: {metrics[0].value}"]) + "\n"


def neither(questions: Sequence[Question], crops: Iterable[Mapping[str, str]]) -> Counter[str]:
    """Count the answers to ``questions`` that are neither "yes" nor "no"."""
    found = (answers[question.text] for answers in crops for question in questions)
    return Counter(answer for answer in found if answer not in (YES, NO))


def warnings_of(
    protocol: ResolvedProtocol, items: Sequence[Item], outcomes: Sequence[Outcome], odd: Mapping[str, int]
) -> list[str]:
    """Say what a reader of the metrics must know."""
    pinned = protocol.value("questions.blob")
    others = sorted({item.metadata["questions_blob"] for item in items} - {pinned})
    told = [
        f"the questions are not those that the protocol pins: git blob {blob}, expected {pinned}"
        for blob in others
    ]
    dropped = [f"{one.item_id} ({one.excluded})" for one in outcomes if one.excluded]
    if dropped:
        told.append(f"excluded by the rules of protocol {protocol.name}: {_few(dropped)}")
    if odd:
        common = sorted(odd.items(), key=lambda pair: (-pair[1], pair[0]))
        words = _few([f"{answer!r} {count}" for answer, count in common])
        told.append(
            f"{sum(odd.values())} answers are neither 'yes' nor 'no' and count as no, as in the official "
            f"code: {words}"
        )
    return told


def _overall(outcomes: Sequence[Outcome], name: str = "overall") -> Metric:
    """The mean over items of the mean over their images, with the intervals of a mean over prompts.

    Where an item lacks images, the intervals are those of the mean over all images; they are then made to
    hold the value.
    """
    found = metric(name, scores_of(outcomes), UNIT)
    averages = [one.average for one in outcomes if not one.excluded]
    if not averages:
        return found
    value = dpg_score(averages)
    intervals = {name: _holding(getattr(found, name), value) for name in ("ci_seeds", "ci_prompts")}
    return found.model_copy(update={"value": value, **intervals})


def _holding(limits: Interval | None, value: float) -> Interval | None:
    return None if limits is None else (min(limits[0], value), max(limits[1], value))


def _sum(one: Part, other: Part) -> Part:
    return Part(one.item_id, one.index, one.hits + other.hits, one.asked + other.asked, one.counted)


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f"{', '.join(words[:_SHOWN])}{more}"
