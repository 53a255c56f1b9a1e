"""Held-out compositions stay the same everywhere, are balanced, and mean the same for scenes and prompts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene
from benchmarks.tabletop.world.splits import (
    HELD_OUT_COLORED,
    HELD_OUT_COUNTS,
    HELD_OUT_PAIRS,
    is_unseen,
    is_unseen_prompt,
    prompt_split,
)
from benchmarks.tabletop.world.vocabulary import COLORS, SHAPES

scenes = st.integers(0, 2**32 - 1).map(lambda seed: sample_scene(np.random.default_rng(seed)))


def table(*things: tuple[str, str]) -> Scene:
    laid = (
        Thing(shape, color, "plain", "small", 0.15 + 0.17 * i, 0.5) for i, (color, shape) in enumerate(things)
    )
    return Scene(tuple(laid), (150, 150, 150))


def test_the_split_is_what_it_was_when_models_were_trained() -> None:
    """A changed split silently turns trained-on compositions into unseen ones."""
    assert {
        ("black", "triangle"), ("blue", "star"), ("brown", "crescent"), ("orange", "cross"),
        ("purple", "circle"), ("red", "heart"), ("white", "diamond"), ("yellow", "square"),
    } == HELD_OUT_COLORED  # fmt: skip
    assert {frozenset(pair.split()) for pair in (
        "crescent square", "circle heart", "diamond triangle", "cross star",
    )} == HELD_OUT_PAIRS  # fmt: skip
    assert {("crescent", 3), ("heart", 2), ("square", 4), ("triangle", 3)} == HELD_OUT_COUNTS
    assert prompt_split("a photo of a star") == "test"
    assert prompt_split("a photo of a star and a heart") == "dev"


def test_every_shape_and_color_is_held_out_about_equally() -> None:
    assert Counter(shape for _, shape in HELD_OUT_COLORED) == Counter(SHAPES)
    assert len({color for color, _ in HELD_OUT_COLORED} & set(COLORS)) == 8
    assert Counter(shape for pair in HELD_OUT_PAIRS for shape in pair) == Counter(SHAPES)
    assert len({shape for shape, _ in HELD_OUT_COUNTS}) == 4
    assert {count for _, count in HELD_OUT_COUNTS} == {2, 3, 4}


@pytest.mark.parametrize(
    ("scene", "unseen"),
    [
        (table(("blue", "star")), True),
        (table(("red", "star")), False),
        (table(("red", "circle"), ("green", "heart")), True),
        (table(("green", "heart"), ("red", "circle")), True),
        (table(("red", "circle"), ("green", "star")), False),
        (table(("red", "circle"), ("green", "star"), ("green", "heart")), True),
        (table(("green", "heart"), ("blue", "heart")), True),
        (table(("green", "heart"), ("blue", "heart"), ("pink", "heart")), False),
        (table(("green", "heart"), ("blue", "heart"), ("pink", "star")), True),
    ],
)
def test_scenes(scene: Scene, unseen: bool) -> None:
    assert is_unseen(scene) is unseen


@pytest.mark.parametrize(
    ("include", "unseen"),
    [
        ([{"class": "star", "count": 1}], False),
        ([{"class": "star", "count": 1, "color": "blue"}], True),
        ([{"class": "star", "count": 1, "color": "red"}], False),
        ([{"class": "triangle", "count": 3}], True),
        ([{"class": "triangle", "count": 2}], False),
        ([{"class": "heart", "count": 1}, {"class": "circle", "count": 1, "position": ["left of", 0]}], True),
        ([{"class": "heart", "count": 1}, {"class": "square", "count": 1, "position": ["above", 0]}], False),
        ([{"class": "heart", "count": 1}, {"class": "square", "count": 1, "color": "yellow"}], True),
    ],
)
def test_prompts(include: list[dict[str, Any]], unseen: bool) -> None:
    assert is_unseen_prompt({"tag": "any", "include": include, "prompt": "a photo"}) is unseen


@given(scenes)
def test_a_scene_and_a_prompt_that_tells_all_of_it_agree(scene: Scene) -> None:
    include = [{"class": thing.shape, "count": 1, "color": thing.color} for thing in scene.things]
    assert is_unseen_prompt({"include": include}) == is_unseen(scene)


@given(scenes)
def test_what_a_seen_scene_contains_was_never_held_out(scene: Scene) -> None:
    """A prompt about any part of a training scene that keeps whole shapes together is a seen prompt."""
    if is_unseen(scene):
        return
    counts = Counter(thing.shape for thing in scene.things)
    for shape, count in counts.items():
        assert not is_unseen_prompt({"include": [{"class": shape, "count": count}]})
        for other in counts:
            if other != shape and count == counts[other] == 1:
                clauses = [{"class": shape, "count": 1}, {"class": other, "count": 1}]
                assert not is_unseen_prompt({"include": clauses})


def test_most_scenes_can_be_trained_on() -> None:
    rng = np.random.default_rng(1)
    share = np.mean([is_unseen(sample_scene(rng)) for _ in range(2000)])
    assert 0.2 < share < 0.4


def test_about_a_third_of_prompts_is_for_choosing() -> None:
    splits = Counter(prompt_split(f"a photo of {i} stars") for i in range(3000))
    assert splits["dev"] + splits["test"] == 3000
    assert abs(splits["dev"] / 3000 - 1 / 3) < 0.04
