"""The rules against oracles of another kind: sets of pixels, plain sorting, geometry by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.geneval.rules import MissingColorError, Options, evaluate, iou, keep, relative_position
from benchmarks.geneval.vocabulary import COCO_CLASSES

corner = st.integers(0, 12)
pixel_boxes = st.tuples(corner, corner, corner, corner).map(
    lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])]
)
scores = st.one_of(st.sampled_from([0.3, 0.9, 0.5]), st.floats(0, 1, width=32))
score_lists = st.lists(scores, max_size=24)
place = st.floats(0, 500, width=32)
side = st.floats(1, 200, width=32)
boxes = st.tuples(place, place, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])


def pixels(box: list[int]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}


def at(x: float, y: float, score: float = 0.95, size: float = 20) -> list[float]:
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2, score]


@given(pixel_boxes, pixel_boxes)
def test_iou_counts_pixels(a: list[int], b: list[int]) -> None:
    both, either = pixels(a) & pixels(b), pixels(a) | pixels(b)
    assert iou(a, b) == pytest.approx(len(both) / len(either), abs=1e-12)


def test_iou_without_area_is_zero() -> None:
    assert iou([5, 5, 3, 3], [5, 5, 3, 3]) == 0


@given(score_lists, st.sampled_from([0.3, 0.9]), st.integers(1, 20))
def test_keep_sorts_by_score_and_later_first_among_ties(
    values: list[float], threshold: float, limit: int
) -> None:
    rows = [[0, 0, 1, 1, value] for value in values]
    single = [float(np.float32(value)) for value in values]
    passing = [i for i, value in enumerate(single) if value > float(np.float32(threshold))]
    expected = sorted(passing, key=lambda i: (single[i], i), reverse=True)[:limit]
    assert [found.index for found in keep(rows, threshold=threshold, max_objects=limit)] == expected


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_a_score_at_the_threshold_does_not_pass(threshold: float) -> None:
    just_above = float(np.nextafter(np.float32(threshold), np.float32(1)))
    kept = keep([[0, 0, 9, 9, threshold], [0, 0, 9, 9, just_above]], threshold=threshold)
    assert [found.index for found in kept] == [1]


def test_suppression_is_greedy() -> None:
    """The second box falls to the first, and a fallen box suppresses nothing."""
    rows = [[0, 0, 39, 39, 0.9], [0, 10, 39, 49, 0.8], [0, 20, 39, 59, 0.7]]
    assert [found.index for found in keep(rows, threshold=0.3, max_overlap=0.5)] == [0, 2]
    assert [found.index for found in keep(rows, threshold=0.3)] == [0, 1, 2]


def test_the_limit_comes_before_suppression() -> None:
    rows = [[0, 0, 9, 9, 0.9], [0, 0, 9, 9, 0.8], [50, 50, 59, 59, 0.7]]
    assert [found.index for found in keep(rows, threshold=0.3, max_objects=2, max_overlap=0.5)] == [0]


@given(boxes, boxes)
def test_relative_position_follows_the_geometry(a: list[float], b: list[float]) -> None:
    offset = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    margin = [0.1 * (a[i + 2] - a[i] + b[i + 2] - b[i]) for i in (0, 1)]
    beyond = [math.copysign(max(abs(o) - m, 0), o) for o, m in zip(offset, margin, strict=True)]
    assume(all(abs(abs(value) - 1e-3) > 1e-4 or value == 0 for value in beyond))
    length = math.hypot(*offset)
    if max(map(abs, beyond)) < 1e-3:
        assert relative_position(a, b) == set()
        return
    dx, dy = beyond[0] / length, beyond[1] / length
    assume(all(abs(abs(part) - 0.5) > 1e-3 for part in (dx, dy)))
    expected = {"left of": dx < -0.5, "right of": dx > 0.5, "above": dy < -0.5, "below": dy > 0.5}
    assert relative_position(a, b) == {relation for relation, holds in expected.items() if holds}


@given(boxes, boxes)
def test_relative_position_turns_round(a: list[float], b: list[float]) -> None:
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    assert {opposite[relation] for relation in relative_position(a, b)} == relative_position(b, a)


def test_overlap_at_the_limit_is_too_much() -> None:
    halves = [[0, 0, 9, 9, 0.9], [0, 0, 9, 4, 0.8]]
    assert [found.index for found in keep(halves, threshold=0.3, max_overlap=0.5)] == [0]
    assert [found.index for found in keep(halves, threshold=0.3, max_overlap=0.51)] == [0, 1]


@pytest.mark.parametrize(("offset", "relations"), [(0.002, {"right of"}), (0.0005, set())])
def test_less_than_a_thousandth_of_a_pixel_is_no_offset(offset: float, relations: set[str]) -> None:
    assert relative_position([offset, 0, offset, 0], [0, 0, 0, 0]) == relations


def test_two_relations_hold_on_the_diagonal() -> None:
    assert relative_position(at(300, 300), at(100, 100)) == {"right of", "below"}
    assert relative_position(at(104, 100), at(100, 100)) == set()


def test_counting_wants_exactly_n_above_its_own_threshold() -> None:
    metadata = {
        "tag": "counting",
        "include": [{"class": "dog", "count": 2}],
        "exclude": [{"class": "dog", "count": 3}],
    }

    def judge(*values: float) -> tuple[bool, str]:
        outcome = evaluate(metadata, {"dog": [at(50, 50, v) for v in values]}, {}, COCO_CLASSES)
        return outcome.correct, outcome.reason

    assert judge(0.95, 0.95) == (True, "")
    assert judge(0.95, 0.95, 0.9) == (True, "")
    assert judge(0.95, 0.9) == (False, "expected dog>=2, found 1")
    assert judge(0.95, 0.95, 0.95) == (False, "expected dog<3, found 3")


def test_only_the_most_confident_object_is_asked_for_its_colour() -> None:
    metadata = {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}]}
    rows = {"dog": [at(50, 50, 0.8), at(150, 50, 0.9)]}
    right = evaluate(metadata, rows, {"dog": [None, "red"]}, COCO_CLASSES)
    assert right.correct
    wrong = evaluate(metadata, rows, {"dog": ["red", "blue"]}, COCO_CLASSES)
    assert (wrong.correct, wrong.reason) == (False, "expected red dog>=1, found 0 red; and 1 blue")
    with pytest.raises(MissingColorError, match="detection 1 of class 'dog'"):
        evaluate(metadata, rows, {"dog": ["red", None]}, COCO_CLASSES)
    with pytest.raises(MissingColorError):
        evaluate(metadata, rows, {}, COCO_CLASSES)


def test_a_position_without_its_target() -> None:
    metadata = {
        "tag": "position",
        "include": [{"class": "cat", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}],
    }
    lost = evaluate(metadata, {"dog": [at(50, 50)]}, {}, COCO_CLASSES)
    assert lost.reason == "expected cat>=1, found 0\nno target for dog to be left of"
    diagonal = evaluate(metadata, {"dog": [at(400, 50)], "cat": [at(50, 400)]}, {}, COCO_CLASSES)
    assert diagonal.reason == "expected dog left of target, found above and right of target"
    near = evaluate(metadata, {"dog": [at(50, 50)], "cat": [at(51, 50)]}, {}, COCO_CLASSES)
    assert near.reason == "expected dog left of target, found  target"
    assert evaluate(metadata, {"dog": [at(50, 50)], "cat": [at(400, 50)]}, {}, COCO_CLASSES).correct


def test_details_are_in_class_order_and_leave_out_empty_classes() -> None:
    rows = {"dog": [at(50, 50, 0.5)], "cat": [at(1, 1, 0.6)], "car": [at(1, 1, 0.1)], "bus": []}
    outcome = evaluate({"tag": "single_object"}, rows, {}, COCO_CLASSES)
    assert list(json.loads(outcome.details)) == ["cat", "dog"]
    assert json.loads(outcome.details)["cat"][0][4] == float(np.float32(0.6))


@given(score_lists, st.integers(1, 4))
def test_what_lies_at_or_below_the_threshold_changes_nothing(values: list[float], count: int) -> None:
    metadata = {
        "tag": "counting",
        "include": [{"class": "dog", "count": count}],
        "exclude": [{"class": "dog", "count": count + 1}],
    }
    every = [at(20 * i, 50, value) for i, value in enumerate(values)]
    loud = [row for row in every if np.float32(row[4]) > np.float32(0.9)]
    with_all = evaluate(metadata, {"dog": every}, {}, COCO_CLASSES)
    without = evaluate(metadata, {"dog": loud}, {}, COCO_CLASSES)
    assert (with_all.correct, with_all.reason) == (without.correct, without.reason)
    assert with_all.correct == (len(loud) == count)


def test_options_change_the_rules() -> None:
    metadata = {"tag": "single_object", "include": [{"class": "dog", "count": 1}]}
    rows = {"dog": [at(50, 50, 0.25)]}
    assert not evaluate(metadata, rows, {}, COCO_CLASSES).correct
    assert evaluate(metadata, rows, {}, COCO_CLASSES, Options(threshold=0.2)).correct
