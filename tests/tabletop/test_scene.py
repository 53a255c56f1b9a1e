"""Scenes keep to the table's rules, whatever the seed."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.geneval.rules import relative_position
from benchmarks.tabletop.world.scene import (
    CrowdedTableError,
    Kind,
    Scene,
    Thing,
    place,
    relations,
    sample_scene,
)
from benchmarks.tabletop.world.vocabulary import (
    BACKGROUND_LIGHTNESS,
    COLORS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
)

seeds = st.integers(0, 2**32 - 1)
places = st.floats(0.15, 0.85)


@given(seeds)
@settings(max_examples=150)
def test_sampled_scenes_keep_to_the_vocabulary_and_the_table(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert 1 <= len(scene.things) <= 5
    for thing in scene.things:
        assert thing.shape in SHAPES
        assert thing.color in COLORS
        assert thing.texture in TEXTURES
        assert thing.size in SIZES
        half = thing.diameter / 2
        assert half <= thing.x <= 1 - half
        assert half <= thing.y <= 1 - half
    low, high = BACKGROUND_LIGHTNESS
    assert all(low - 4 <= value <= high + 4 for value in scene.background)
    assert max(scene.background) - min(scene.background) <= 8


@given(seeds)
@settings(max_examples=150)
def test_things_of_one_color_never_touch_and_others_overlap_a_little(seed: int) -> None:
    things = sample_scene(np.random.default_rng(seed), overlap=0.12).things
    for i, a in enumerate(things):
        for b in things[:i]:
            gap = math.hypot(a.x - b.x, a.y - b.y) - (a.diameter + b.diameter) / 2
            assert gap >= (0.0199 if a.color == b.color else -0.1201 * min(a.diameter, b.diameter))


@given(seeds)
def test_a_scene_survives_json(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


@given(seeds)
def test_the_seed_decides(seed: int) -> None:
    assert sample_scene(np.random.default_rng(seed)) == sample_scene(np.random.default_rng(seed))


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_second_thing_stands_where_it_was_asked_to(relation: str) -> None:
    for seed in range(20):
        reference, located = place(
            [Kind("star"), Kind("heart")], np.random.default_rng(seed), relation=relation
        ).things
        sign = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}[relation]
        along = (located.x - reference.x) * sign[0] + (located.y - reference.y) * sign[1]
        across = abs((located.x - reference.x) * sign[1]) + abs((located.y - reference.y) * sign[0])
        assert along > 0
        assert along > across / 2


@given(places, places, places, places, st.sampled_from(tuple(SIZES)), st.sampled_from(tuple(SIZES)))
@settings(max_examples=200)
def test_relations_are_those_of_the_rule_on_bounding_boxes(
    ax: float, ay: float, bx: float, by: float, a_size: str, b_size: str
) -> None:
    a, b = (
        Thing("circle", "red", "plain", a_size, ax, ay),
        Thing("square", "blue", "plain", b_size, bx, by),
    )
    assume(math.hypot(ax - bx, ay - by) > 0.05)
    almost = [dataclasses.replace(a, x=ax + dx, y=ay + dy) for dx in (-1e-4, 1e-4) for dy in (-1e-4, 1e-4)]
    assume(all(relations(other, b) == relations(a, b) for other in almost))  # not on the border
    boxes = [
        [t.x - t.diameter / 2, t.y - t.diameter / 2, t.x + t.diameter / 2, t.y + t.diameter / 2]
        for t in (a, b)
    ]
    assert relations(a, b) == relative_position(*(np.array(box) * 1000 for box in boxes))


def test_attributes_that_are_given_are_kept() -> None:
    kinds = [Kind("cross", "green", "dotted", "small"), Kind("crescent", "white", "striped", "large")]
    things = place(kinds, np.random.default_rng(3)).things
    assert [Kind(t.shape, t.color, t.texture, t.size) for t in things] == kinds


@pytest.mark.parametrize("kinds", [[], [Kind("circle")] * 6, [Kind("circle", "red", size="large")] * 5])
def test_what_does_not_fit_is_an_error(kinds: list[Kind]) -> None:
    with pytest.raises(CrowdedTableError):
        place(kinds, np.random.default_rng(0))
