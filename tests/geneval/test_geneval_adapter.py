from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.geneval.adapter import GenEval, metrics_of
from benchmarks.geneval.drawing import RIGHT, WRONG
from benchmarks.geneval.summary import overall
from lumina_eval.errors import UserError
from lumina_eval.plugins import Benchmark, benchmark, injected
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Score, Verdict

Make = Callable[..., ResolvedProtocol]


def verdict(item: Item, index: int, good: bool) -> Verdict:
    """What a judge would say of an image that does, or does not, show what counting and plain prompts ask."""
    detections: dict[str, list[list[float]]] = {}
    colors: dict[str, list[str]] = {}
    for number, clause in enumerate(item.metadata["include"]):
        count = clause["count"] if good else clause["count"] - 1
        detections[clause["class"]] = [[20.0 * i, 60.0 * number, 20.0 * i + 15, 60.0 * number + 15, 0.99]
                                       for i in range(count)]  # fmt: skip
        colors[clause["class"]] = [clause.get("color", "red")] * count
    return Verdict(
        item_id=item.id,
        index=index,
        image_sha256="0" * 64,
        judge="test@0",
        output={"detections": detections, "colors": colors},
    )


def test_it_is_a_benchmark() -> None:
    assert isinstance(GenEval(), Benchmark)
    with injected("benchmarks", geneval=GenEval):
        assert benchmark("geneval").name == "geneval"
    assert set(GenEval().protocols()) >= {"official", "tabletop"}


def test_the_score_agrees_with_the_official_summary(protocol: Make) -> None:
    official, rng = protocol("official"), random.Random(5)
    items = [item for item in GenEval().items(official) if item.task != "position"]
    truth = [(item, i, rng.random() < 0.7) for item in items for i in range(2)]
    found = GenEval().aggregate(official, items, [verdict(*entry) for entry in truth])
    rows = [json.loads(line) for line in found.results]
    assert [row["correct"] for row in rows] == [good for _, _, good in truth]
    assert [row["metadata"] for row in rows] == [json.dumps(item.metadata) for item, _, _ in truth]
    by_name = {metric.name: metric for metric in found.metrics}
    assert by_name["overall"].value == pytest.approx(overall(rows), abs=1e-12)
    assert f"{by_name['overall'].value:.5f}" == found.summary.split()[-1]
    assert by_name["overall"].n_images == len(truth)
    assert by_name["position"].value is None
    assert by_name["position"].n_images == 0
    low, high = by_name["overall"].ci_prompts or (1, 0)
    assert low < (by_name["overall"].value or 0) < high
    assert rows[0]["filename"] == "00000/samples/0000.png"


def test_aggregate_is_pure(protocol: Make) -> None:
    tabletop = protocol("tabletop")
    items = GenEval().items(tabletop)
    verdicts = [verdict(item, 0, True) for item in items]
    assert GenEval().aggregate(tabletop, items, verdicts) == GenEval().aggregate(tabletop, items, verdicts)
    assert GenEval().aggregate(tabletop, items, []).metrics[0].value is None


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["colors", "counting"]), st.sampled_from(["seen", "unseen"]),
                          st.booleans()), min_size=1, max_size=20))  # fmt: skip
def test_seen_and_unseen_compare_like_with_like(marks: list[tuple[str, str, bool]]) -> None:
    scores = [
        Score(item_id=str(i), task=task, index=0, value=float(good), split=split)
        for i, (task, split, good) in enumerate(marks)
    ]
    by_name = {metric.name: metric.value for metric in metrics_of(scores)}
    splits = {split for _, split, _ in marks}
    shared_tasks = {t for t in ("colors", "counting") if splits == {s for task, s, _ in marks if task == t}}
    for split in splits:
        means = []
        for task in sorted(shared_tasks):
            values = [good for t, s, good in marks if (t, s) == (task, split)]
            means.append(sum(values) / len(values))
        expected = sum(means) / len(means) if means else None
        assert by_name[f"{split}/overall"] == (None if expected is None else pytest.approx(expected))


def test_no_splits_no_split_metrics() -> None:
    names = [metric.name for metric in metrics_of([Score(item_id="0", task="colors", index=0, value=1.0)])]
    assert not any("/" in name for name in names)


def test_a_judge_that_is_not_there_is_named_with_the_way_out(protocol: Make) -> None:
    with pytest.raises(UserError, match=r"'another', which is not installed.*--verdicts FILE"):
        GenEval().judge(protocol("official", ['judge.name="another"']))


@pytest.mark.parametrize(("good", "color"), [(True, RIGHT), (False, WRONG)])
@pytest.mark.parametrize("side", [64, 512])
def test_the_picture_of_a_verdict_is_framed_by_its_outcome(
    protocol: Make, good: bool, color: tuple[int, int, int], side: int
) -> None:
    tabletop = protocol("tabletop")
    item = next(item for item in GenEval().items(tabletop) if item.task == "colors")
    grey = Image.new("RGB", (side, side), (150, 150, 150))
    picture = GenEval().draw(grey, item, verdict(item, 0, good), tabletop)
    assert picture.size == ((192, 192) if side == 64 else (512, 512))
    assert picture.getpixel((0, 0)) == picture.getpixel((picture.width - 1, picture.height // 2)) == color


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("threshold=4", "a number from 0 to 1 for threshold, found 4"),
        ("counting_threshold=-0.1", "a number from 0 to 1 for counting_threshold"),
        ("max_overlap=1.5", "a number from 0 to 1 for max_overlap"),
        ("position_threshold=10", "a number from 0 to 1 for position_threshold"),
        ("max_objects=0", "a whole number of 1 or more for max_objects"),
    ],
)
def test_constants_out_of_range_are_told_with_the_prompts(protocol: Make, change: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        GenEval().items(protocol("official", [change]))
