"""Which images a reader gets to see."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lumina_eval.records import Score
from reports.gallery import choose, divide
from reports.pictures import overlay, png, together


def scores(values: list[float], images: int = 2) -> list[Score]:
    return [
        Score(item_id=f"{n // images:05d}", task="t", index=n % images, value=value)
        for n, value in enumerate(values)
    ]


BINARY = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40).map(scores)


@given(BINARY, st.integers(2, 10))
def test_the_sample_is_as_large_and_as_balanced_as_it_can_be(found: list[Score], wanted: int) -> None:
    chosen = choose(found, wanted)
    right, wrong = divide(found)
    assert len(chosen) == min(wanted, len(found))
    assert len({(s.item_id, s.index) for s, _ in chosen}) == len(chosen)
    assert all(is_right == (score.value == 1.0) for score, is_right in chosen)
    n_right = sum(is_right for _, is_right in chosen)
    if len(right) >= wanted // 2 and len(wrong) >= wanted - wanted // 2:
        assert n_right == wanted // 2


@given(BINARY, st.randoms(use_true_random=False))
def test_the_sample_does_not_depend_on_the_order(found: list[Score], shuffle: random.Random) -> None:
    mixed = list(found)
    shuffle.shuffle(mixed)
    assert choose(mixed, 6) == choose(found, 6)


def test_prompts_come_before_second_images_of_a_prompt() -> None:
    chosen = choose(scores([1.0] * 40, images=4), 6)
    assert len({score.item_id for score, _ in chosen}) == 6


def test_two_checkpoints_show_the_same_prompts() -> None:
    one = choose(scores([1.0, 0.0] * 20), 6)
    other = choose(scores([0.0, 1.0] * 20), 6)
    assert {s.item_id for s, _ in one} == {s.item_id for s, _ in other}


def test_scores_that_are_no_verdict_are_divided_at_the_median() -> None:
    upper, lower = divide(scores([0.1, 0.2, 0.3, 0.4]))
    assert [s.value for s in upper] == [0.3, 0.4]
    assert [s.value for s in lower] == [0.1, 0.2]


def test_the_drawing_and_the_image_together_are_what_was_drawn() -> None:
    image = Image.effect_noise((20, 20), 60).convert("RGB")
    drawn = image.resize((60, 60), Image.Resampling.NEAREST)
    ImageDraw.Draw(drawn).rectangle((5, 5, 40, 40), outline=(200, 30, 40), width=2)
    marks = overlay(image, drawn)
    from io import BytesIO

    whole = Image.open(BytesIO(together(png(image), marks))).convert("RGB")
    assert whole.size == drawn.size
    assert whole.tobytes() == drawn.tobytes()


def test_a_drawing_of_another_size_comes_back_whole() -> None:
    image = Image.new("RGB", (20, 20), "white")
    drawn = Image.effect_noise((50, 70), 60).convert("RGB")
    from io import BytesIO

    whole = Image.open(BytesIO(overlay(image, drawn))).convert("RGB")
    assert whole.tobytes() == drawn.tobytes()
