"""The rules by hand, and what must hold for any input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.t2i_compbench.boxes import Box, Detection, detections_of
from benchmarks.t2i_compbench.errors import MissingValueError
from benchmarks.t2i_compbench.nouns import NOUNS, Nouns
from benchmarks.t2i_compbench.options import Attribute, Numeracy, Spatial, Spatial3d
from benchmarks.t2i_compbench.position import LOCALITIES_2D, LOCALITIES_3D
from benchmarks.t2i_compbench.rules import (
    around_phrase,
    asked_for,
    binding_answer,
    depth_score,
    determine_position_2d,
    determine_position_3d,
    first_and_last,
    iou,
    is_same_object,
    locality_in,
    mean_depth,
    numeracy_score,
    pre_question,
    spatial_score,
    three_in_one,
    without_adjectives,
    without_duplicates,
)

whole = st.integers(0, 60)
corners = st.tuples(whole, whole, whole, whole).map(
    lambda v: Box(*map(float, (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))))
)
probabilities = st.floats(0, 1)


def tokens(text: str) -> list[list[str]]:
    """``a/DET dog/NOUN`` as tokens; a word without a mark is X."""
    return [(word.split("/") if "/" in word else [word, "X"]) for word in text.split()]


def phrases(*values: float | None) -> list[dict[str, Any]]:
    return [{"text": f"thing {n}", "yes_probability": value} for n, value in enumerate(values)]


def pixels(box: Box) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = map(int, box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


# --- attributes


def test_each_probability_is_rounded_before_the_product() -> None:
    assert binding_answer(phrases(0.00004)) == "0.0000"
    assert binding_answer(phrases(0.00006, 1.0)) == "0.0001"
    assert binding_answer(phrases(0.33335, 0.66665)) == "0.2222"  # 0.3333 (or 4) x 0.6666 (or 7)
    assert binding_answer(phrases()) == "1.0000"
    assert binding_answer(phrases(1.0, 1.0)) == "1.0000"


def test_only_the_first_eight_that_are_asked_count() -> None:
    position = {"text": "the left", "yes_probability": None}
    eight = phrases(*[0.9] * 8)
    assert binding_answer([position, *eight, *phrases(None)]) == f"{0.9**8:.4f}"
    assert binding_answer(phrases(0.5, None), Attribute(questions=1)) == "0.5000"
    with pytest.raises(
        MissingValueError, match=r"at phrases\[1\].yes_probability \('The left'\), found null"
    ):
        binding_answer([*phrases(0.5), {"text": "The left", "yes_probability": None}])


@given(st.lists(probabilities, max_size=8))
def test_the_answer_is_the_product_but_for_rounding(values: list[float]) -> None:
    answer = binding_answer(phrases(*values))
    assert len(answer.split(".")[1]) == 4
    assert float(answer) == pytest.approx(float(np.prod(values)), abs=0.5e-4 * (len(values) + 1) + 1e-6)
    assert float(binding_answer(phrases(*values, 0.5))) <= float(answer)


def test_questions_lose_marks_and_words() -> None:
    assert pre_question("A Cat-like *thing*; really?  ") == "a cat-like thing really?"
    assert pre_question("a.b") == "ab"
    assert pre_question("?") == "?"
    assert pre_question("x " * 60) == "x " * 49 + "x"
    assert pre_question("a  b " + "c " * 60).count("c") == 47, "two spaces end a word each"


# --- boxes


@given(corners, corners)
def test_overlap_is_that_of_pixels(a: Box, b: Box) -> None:
    one, other = pixels(a), pixels(b)
    share = len(one & other) / len(one | other) if one | other else 0.0
    assert iou(a, b) == iou(b, a) == pytest.approx(share)
    # With both corner pixels a box of no width is one pixel wide.
    one, other = (pixels(Box(x.x_min, x.y_min, x.x_max + 1, x.y_max + 1)) for x in (a, b))
    both = len(one & other)
    same = max(both / len(one | other), both / len(one), both / len(other)) > 0.7
    assert is_same_object(a, b, 0.7) == is_same_object(b, a, 0.7) == same


# --- positions in the plane


def test_sides_by_hand() -> None:
    left, right, below = (0, 0, 10, 10), (20, 0, 30, 10), (0, 20, 10, 30)
    assert determine_position_2d("on the left of", left, right) == 1
    assert determine_position_2d("on the right of", left, right) == 0
    assert determine_position_2d("on the top of", left, below) == 1
    assert determine_position_2d("on the bottom of", below, left) == 1
    assert determine_position_2d("on the left of", left, (20, 20, 30, 30)) == 0, "exactly diagonal"
    assert determine_position_2d("on the left of", left, (5, 0, 15, 10)) == pytest.approx(0.1 / (50 / 150))
    assert determine_position_2d(None, left, right) == 0
    assert (
        determine_position_2d("on the left of", {"x_min": 0, "y_min": 0, "x_max": 10, "y_max": 10}, right)
        == 1
    )


def test_on_top_of_has_no_rule_unless_it_is_mended() -> None:
    above, below = (0, 0, 10, 10), (0, 20, 10, 30)
    assert determine_position_2d("on top of", above, below) == 0
    assert determine_position_2d("on top of", above, below, on_top_of=True) == 1
    assert determine_position_2d("on top of", below, above, on_top_of=True) == 0


def test_beside_looks_at_one_axis_only() -> None:
    here, far_below, far = (0, 0, 10, 10), (100, 400, 110, 410), (300, 400, 310, 410)
    for words in ("next to", "near", "on side of"):
        assert determine_position_2d(words, here, far_below) == 1
        assert determine_position_2d(words, here, far) == 150 / 400
        assert determine_position_2d(words, here, (150, 150, 160, 160)) == 1


@given(corners, corners, st.integers(-50, 50), st.integers(-50, 50))
def test_positions_turn_with_the_boxes(a: Box, b: Box, dx: int, dy: int) -> None:
    moved = [Box(x.x_min + dx, x.y_min + dy, x.x_max + dx, x.y_max + dy) for x in (a, b)]
    turned = [Box(x.y_min, x.x_min, x.y_max, x.x_max) for x in (a, b)]
    for words, back, across in [
        ("on the left of", "on the right of", "on the top of"),
        ("on the bottom of", "on the top of", "on the right of"),
        ("near", "next to", "on side of"),
    ]:
        found = determine_position_2d(words, a, b)
        assert 0 <= found <= 1
        assert determine_position_2d(back, b, a) == found
        assert determine_position_2d(words, *moved) == found
        assert determine_position_2d(across, *turned) == found


def test_the_first_words_in_official_order_count() -> None:
    assert locality_in("a cat near a dog on the top of a car", LOCALITIES_2D) == "near"
    assert locality_in("a linear car", LOCALITIES_2D) == "near", "even within a word"
    assert locality_in("a cat on top of a car", LOCALITIES_2D) == "on top of"
    assert locality_in("a cat and a dog", LOCALITIES_2D) is None
    assert locality_in("a key hidden behind a car", LOCALITIES_3D) == "behind"


# --- positions in depth


def test_depth_is_read_with_x_for_the_row() -> None:
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    box = Box(0.9, 1.2, 2.7, 3.9)
    assert mean_depth(depth, box) == np.mean([1, 2, 5, 6])
    assert mean_depth(depth, box, "yx") == np.mean([4, 5, 8, 9])
    assert mean_depth(depth, Box(3, 0, 4, 2)) is None, "to the right of the height of the image"
    assert mean_depth(depth, Box(3, 0, 4, 2), "yx") == np.mean([3, 7])
    assert mean_depth(depth, Box(1, 1, 1.9, 3)) is None


@given(corners, corners, st.integers(0, 2**32 - 1))
def test_depth_of_the_turned_map_is_the_mended_reading(a: Box, b: Box, seed: int) -> None:
    depth = np.random.default_rng(seed).random((48, 64))
    for words in ("in front of", "behind", "hidden"):
        found = determine_position_3d(words, a, b, depth)
        assert 0 <= found <= 1
        assert found == determine_position_3d(words, a, b, depth.T, depth_axes="yx")
    front = determine_position_3d("in front of", a, b, depth)
    assert front == determine_position_3d("behind", b, a, depth)
    assert determine_position_3d("hidden", a, b, depth) == determine_position_3d("behind", a, b, depth)
    assert not (front and determine_position_3d("behind", a, b, depth))


def test_an_overlap_of_exactly_the_threshold_is_nothing() -> None:
    depth = np.tile(np.arange(40, 0, -1, dtype=np.float64)[:, None], (1, 40))
    for width, expected in [(20, 0.0), (19, 1.0), (21, 20 / 21)]:  # boxes 10 and `width` wide share 10
        inner, outer = Box(0, 0, 10, 10), Box(0, 0, width, 10)
        assert iou(inner, outer) == pytest.approx(10 / width)
        assert determine_position_3d("in front of", inner, outer, depth) == pytest.approx(expected)
        assert determine_position_3d("behind", inner, outer, depth) == 0
    assert determine_position_3d("in front of", Box(0, 0, 10, 10), Box(20, 0, 30, 10), depth) == 0


# --- which objects


def test_objects_of_a_simple_prompt() -> None:
    assert first_and_last(tokens("a/DET boy/NOUN near a/DET big/ADJ car/NOUN")) == ("person", "car")
    assert first_and_last(tokens("a dog/NOUN")) == ("dog", "dog")
    assert first_and_last(tokens("Rome/PROPN sleeps/VERB")) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red hat/NOUN was on top of brown coat/NOUN and shoe/NOUN", ("hat", "coat")),
        ("a man/NOUN by car/NOUN sat next to a girl/NOUN", ("car", "person")),
        ("car/NOUN near Paris/PROPN Texas/PROPN ./PUNCT", ("car", "Texas")),
        ("car/NOUN near Paris/PROPN", (None, None)),
        ("Paris/PROPN near car/NOUN", ("Paris", "car")),
        ("cat/NOUN near dog/NOUN near car/NOUN", (None, None)),
        ("near dog/NOUN", (None, None)),
        ("cat/NOUN and dog/NOUN", (None, None)),
        ("cat/NOUN on the left side/NOUN of dog/NOUN", ("cat", "side")),
        ("cat/NOUN on bottom of dog/NOUN", ("cat", "dog")),
    ],
)
def test_objects_around_a_phrase(text: str, expected: tuple[str | None, str | None]) -> None:
    assert around_phrase(tokens(text)) == expected


def test_clip_reads_no_adjectives_in_complex_prompts() -> None:
    assert without_adjectives(tokens("the/DET red/ADJ hat/NOUN ./PUNCT")) == "the hat ."


# --- scores of positions

DOG_LEFT = tokens("a/DET dog/NOUN on the left of a/DET cat/NOUN")
DOG = [0.0, 0.0, 10.0, 10.0, 0.8, "dog"]
CAT = [20.0, 0.0, 30.0, 10.0, 0.6, "cat"]


def spatial(*rows: list[Any], prompt: str = "a dog on the left of a cat", **options: Any) -> float:
    return spatial_score(prompt, DOG_LEFT, detections_of(rows), Spatial(**options))


def test_a_position_in_the_plane() -> None:
    assert spatial(DOG, CAT) == 0.25 * float(np.float32(0.8)) + 0.25 * float(np.float32(0.6)) + 0.5
    assert spatial(DOG) == spatial(CAT) == spatial() == 0
    assert spatial(DOG, least=0.1) == 0.25 * float(np.float32(0.8))
    assert spatial([*DOG[:5], "dogs"], CAT) == 0, "the label must be the very name"
    weaker = [*DOG[:4], 0.5, "dog"]
    assert spatial(weaker, DOG, CAT) < spatial(DOG, weaker, CAT), "the first detection counts, not the best"
    assert spatial(DOG, CAT, prompt="a dog on the right of a cat") == 0
    assert spatial([*DOG[:4], 1.0, "dog"], [*CAT[:4], 1.0, "cat"], prompt="a dog on top of a cat") == 0.5


def test_a_position_in_depth() -> None:
    words = tokens("a/DET car/NOUN behind a/DET dog/NOUN")
    rows = [[0, 0, 8, 8, 0.5, "dog"], [0, 0, 9, 9, 0.75, "cart"], [0, 0, 8, 8, 1.0, "car"]]

    def score(rows: list[list[Any]], *nearness: float | None) -> float:
        return depth_score("a car behind a dog", words, detections_of(rows), nearness, Spatial3d())

    assert score(rows, 0.9, 0.1, 0.5) == 0.25 * 0.5 + 0.25 * 0.75 + 0.5, "up to where both have a place"
    assert score(rows, 0.1, 0.9, 0.5) == 0.25 * 0.5 + 0.25 * 0.75
    assert score(rows, None, 0.1, 0.5) == 0.25 * 0.5 + 0.25 * 0.75
    assert score(rows[1:], 0.1, 0.5) == 0.25 * 0.75, "alone, the first one counts"
    assert score(rows[::-1], 0.1, 0.5, 0.9) == 0.25 * 0.75 + 0.25 * 0.5 + 0.5
    assert score([]) == 0


# --- counting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two boys and one ship", [("person", 2), ("boat", 1)]),
        ("three fish , a sheep", [("fish", 3), ("sheep", 1)]),
        ("an apple and eight keys", [("apple", 1), ("key", 8)]),
        ("four televisions", [("television", 4)]),
        ("nine cars", []),
        ("two", []),
        ("a", []),
        ("two big dogs", []),
        ("two dog", []),
        ("four paintings", [("picture", 4)]),
    ],
)
def test_what_a_prompt_asks_for(text: str, expected: list[tuple[str, int]]) -> None:
    assert asked_for(tokens(text), NOUNS) == expected


def test_two_words_are_looked_up_first() -> None:
    known = Nouns(("bear", "teddy bear", "teddy"), ("bears", "teddy bears", "teddies"))
    assert asked_for(tokens("three teddy bears"), known) == [("teddy bear", 3)]
    assert asked_for(tokens("a teddy bear"), known) == [("teddy bear", 1)]
    assert asked_for(tokens("three teddy bear"), known) == [("teddy bear", 1)], "no plural: one"
    assert asked_for(tokens("a teddy"), known) == [("teddy", 1)]


def things(*labels: str, step: float = 100.0) -> list[Detection]:
    return [Detection(Box(step * n, 0, step * n + 50, 50), 0.9, label) for n, label in enumerate(labels)]


def test_counts_by_hand() -> None:
    def score(text: str, *labels: str) -> float:
        return numeracy_score(tokens(text), things(*labels), NOUNS)

    assert score("two dogs", "dog", "dog") == 1
    assert score("two dogs", "dog") == score("two dogs", "dog", "dog", "dog") == 0.5
    assert score("two dogs", "cat") == score("nothing", "dog") == 0
    assert score("two dogs and one cat", "dog", "dog") == 0.5
    assert score("two cars", "scarf", "cart") == 1, "without the very label all that contain it are renamed"
    assert score("two cars", "scarf", "cart", "car") == 0.5
    assert score("three boys and one ship and a cow", "person", "person", "person", "watercraft, boat") == (
        pytest.approx(2 / 3)
    )


def test_duplicates_are_left_out_and_the_first_is_kept() -> None:
    same = [Detection(Box(0, 0, 99, 99), 0.6, "dog"), Detection(Box(0, 0, 99, 98), 0.9, "dog")]
    assert without_duplicates(same) == same[:1]
    inner = [Detection(Box(0, 0, 99, 99), 0.6, "dog"), Detection(Box(10, 10, 20, 20), 0.9, "dog")]
    assert without_duplicates(inner) == inner[:1], "a small one within a large one"
    other = [same[0], Detection(same[1].box, 0.9, "cat")]
    assert without_duplicates(other) == other
    half = [Detection(Box(0, 0, 99, 99), 0.6, "dog"), Detection(Box(50, 0, 149, 99), 0.9, "dog")]
    assert without_duplicates(half) == half
    assert without_duplicates(half, Numeracy(duplicate=0.3)) == half[:1]


@given(st.lists(st.sampled_from(["dog", "cat", "person", "hot dog"]), max_size=8), st.integers(1, 8))
def test_a_count_is_right_or_wrong(labels: list[str], count: int) -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    text = f"{words[count - 1]} {'dog' if count == 1 else 'dogs'}"
    found = labels.count("dog") or sum("dog" in label for label in labels)
    score = numeracy_score(tokens(text), things(*labels), NOUNS)
    assert score == 0.5 * (found > 0) + 0.5 * (found == count)
    assert numeracy_score(tokens(text), things(*labels)[::-1], NOUNS) == score


# --- three in one


def test_three_in_one_by_hand() -> None:
    scores = {"attribute": 0.5, "spatial": 0.75, "action": 0.3}
    assert three_in_one(scores, "spatial") == 0.625
    assert three_in_one(scores, "action") == pytest.approx(0.4)
    assert three_in_one(scores, "both") == pytest.approx(1.55 / 3)
    assert three_in_one({**scores, "action": None}, "spatial") == 0.625
    with pytest.raises(MissingValueError, match=r"scores.action, found null"):
        three_in_one({**scores, "action": None}, "both")
