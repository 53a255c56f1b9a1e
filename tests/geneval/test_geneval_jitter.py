from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from benchmarks.geneval.adapter import GenEval
from benchmarks.geneval.jitter import Case, is_near, jitter
from benchmarks.geneval.rules import Options, evaluate
from benchmarks.geneval.vocabulary import COCO
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Verdict

DOG = {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a photo of a dog"}
TWO = {
    "tag": "counting", "include": [{"class": "dog", "count": 2}], "exclude": [{"class": "dog", "count": 3}],
    "prompt": "a photo of two dogs",
}  # fmt: skip
RED = {
    "tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}],
    "prompt": "a photo of a red dog",
}  # fmt: skip


def case(
    metadata: dict[str, Any], scores: Sequence[float], color: str | None = None, name: str = "dog"
) -> Case:
    rows = [[10.0 * i, 0.0, 10.0 * i + 9, 9.0, score] for i, score in enumerate(scores)]
    colors = {name: [color] * len(rows)}
    correct = evaluate(metadata, {name: rows}, {name: ["red"] * len(rows)}, COCO.classes).correct
    return Case(metadata, {name: rows}, colors, correct)


@pytest.mark.parametrize(
    ("metadata", "scores", "near"),
    [(DOG, [0.31], True), (DOG, [0.9, 0.29], True), (DOG, [0.9, 0.1], False), (DOG, [], False),
     (TWO, [0.3, 0.95], False), (TWO, [0.95, 0.95, 0.885], True)],
)  # fmt: skip
def test_near_is_by_the_threshold_of_the_task(
    metadata: dict[str, Any], scores: list[float], near: bool
) -> None:
    assert is_near(case(metadata, scores), Options()) == near


def test_classes_that_no_prompt_names_do_not_count() -> None:
    assert not is_near(case(DOG, [0.3], name="cat"), Options())


def test_the_range_is_from_every_verdict_at_its_worst_to_every_one_at_its_best() -> None:
    cases = [case(DOG, [0.31]), case(DOG, [0.29]), case(DOG, [0.8]), case(DOG, [0.1]),
             case(TWO, [0.95, 0.95]), case(TWO, [0.95, 0.95, 0.89])]  # fmt: skip
    found = jitter(cases, COCO.classes, Options())
    assert found is not None
    assert (found.near, found.images) == (3, 6)
    # mean of single_object and counting, by hand
    assert (found.low, found.high) == pytest.approx(((1 / 4 + 1 / 2) / 2, (3 / 4 + 2 / 2) / 2))
    assert "3 of 6 verdicts (50.0%)" in str(found)
    assert "0.3750 to 0.8750" in str(found)


def test_opposite_turns_of_one_threshold_do_not_cancel() -> None:
    """A higher threshold loses the dog of the first prompt and mends the count of the second, and so on."""
    one_too_many = case(TWO, [0.95, 0.95, 0.91])
    lost_if_higher = case(TWO, [0.95, 0.91])
    found = jitter([one_too_many, lost_if_higher], COCO.classes, Options())
    assert found is not None
    assert (found.near, found.low, found.high) == (2, 0.0, 1.0)


def test_a_threshold_between_two_near_scores_counts() -> None:
    found = jitter([case(TWO, [0.95, 0.895, 0.885])], COCO.classes, Options())
    assert found is not None
    assert (found.low, found.high) == (0.0, 1.0), "one dog at 0.9, three at 0.88, two between"


def test_nothing_near_is_one_score() -> None:
    found = jitter([case(DOG, [0.8]), case(DOG, [])], COCO.classes, Options())
    assert found is not None
    assert (found.near, found.low, found.high) == (0, 0.5, 0.5)
    assert str(found) == "no verdict of 2 has a score within 0.02 of the threshold"
    assert jitter([], COCO.classes, Options()) is None


def test_a_colour_that_was_not_asked_for_leaves_the_verdict() -> None:
    found = jitter([case(RED, [0.29], color=None)], COCO.classes, Options())
    assert found is not None
    assert (found.near, found.low, found.high) == (1, 0.0, 0.0)


@pytest.mark.parametrize("name", ["official", "tabletop"])
def test_it_stands_beside_the_score_and_changes_no_result(
    protocol: Callable[..., ResolvedProtocol], name: str
) -> None:
    wanted = protocol(name)
    items = [item for item in GenEval().items(wanted) if item.task == "single_object"][:2]

    def verdicts(score: float) -> list[Verdict]:
        return [
            Verdict(
                item_id=item.id, index=0, image_sha256="0" * 64, judge="test@0",
                output={"detections": {item.metadata["include"][0]["class"]: [[0.0, 0.0, 9.0, 9.0, score]]}},
            )
            for item in items
        ]  # fmt: skip

    near, far = (GenEval().aggregate(wanted, items, verdicts(score)) for score in (0.31, 0.8))
    assert [text for text in near.warnings if "2 of 2 verdicts" in text and "0.0000 to 1.0000" in text]
    assert far.warnings == []
    assert near.summary.startswith(f"Threshold: {near.warnings[0]}\n\nSummary\n")
    assert far.summary.startswith("Threshold: no verdict of 2 has a score within 0.02 of the threshold\n\n")
    assert near.metrics == far.metrics
    assert len(near.results) == 2
