"""What prompts ask for, and back; single facts about a table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tabletop.trial.truth import accepts, perfect_output, read_prompt, scene_for
from benchmarks.tabletop.world.facts import Fact, holds
from benchmarks.tabletop.world.prompt_sets import draw_prompts
from benchmarks.tabletop.world.scene import Thing, sample_scene
from benchmarks.tabletop.world.splits import is_unseen, prompt_split
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES, SIZES, TEXTURES
from benchmarks.tabletop.world.wishes import Wish, read_wish


def word(words: object) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *words])  # type: ignore[misc]


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3, unique=True))
    groups = [Group(shape, draw(word(COLORS)), draw(word(TEXTURES)), draw(word(SIZES))) for shape in shapes]
    if len(groups) > 1 and draw(st.booleans()):
        return Wish(tuple(groups), draw(st.sampled_from(RELATIONS)))
    return Wish(tuple(group._replace(number=draw(st.integers(1, 4))) for group in groups))


@given(wishes())
def test_a_wish_can_be_read_back_from_either_text(wish: Wish) -> None:
    assert read_wish(wish.told()) == wish
    if wish.relation is None or len(wish.groups) == 2:
        assert wish.photo() == f"a photo of {wish.listed()}"
        assert read_wish(wish.photo()) == wish


@pytest.mark.parametrize(
    "text",
    [
        "", "a photo of a dog", "a red circle", "a photo of a circle on the left of a star",
        "a photo of two circle", "a photo of a circles", "a photo of a circle and a circle",
        "The picture shows a star. The star is left of the heart.",
        "The picture shows two stars and a heart. The star is left of the heart.",
        "The picture shows a star and a heart. The heart is left of the star.",
        "a photo of a red red star", "a photo of a star.", "a photo of a star left of two hearts",
    ],
)  # fmt: skip
def test_other_texts_are_none(text: str) -> None:
    assert read_wish(text) is None


def test_scenes_of_a_prompt_are_of_its_split_and_show_what_it_asks() -> None:
    prompts = [
        "The picture shows a small dotted red star and a plain blue heart. The star is above the heart.",
        "a photo of two circles and two crosses",
        "a photo of a checkered diamond and a striped crescent",
    ]
    for number, prompt in enumerate(prompts * 4):
        asked = read_prompt(prompt)
        scene = scene_for(asked, np.random.default_rng(number))
        assert all(accepts(asked, perfect_output(scene, size)) for size in (64, 128))
        wish = read_wish(prompt)
        assert wish is not None
        for group in wish.groups:
            things = [thing for thing in scene.things if thing.shape == group.shape]
            assert len(things) == group.number
            for name in ("color", "texture", "size"):
                assert {getattr(thing, name) for thing in things} == {getattr(group, name)} or not getattr(
                    group, name
                )
        colored = all(group.color for group in wish.groups)
        assert (wish.split == "unseen") == is_unseen(scene) or not colored


def test_half_of_the_prompts_are_unseen_and_a_larger_set_holds_the_smaller() -> None:
    def make(rng: np.random.Generator) -> Wish:
        a, b = rng.permutation(len(SHAPES))[:2]
        return Wish((Group(SHAPES[a], "red"), Group(SHAPES[b], "blue")))

    few, many = (draw_prompts(make, Wish.photo, seed=[1], number=number, part="test") for number in (8, 20))
    assert [wish.split for _, wish in few].count("unseen") == 4
    assert {prompt for prompt, _ in few} < {prompt for prompt, _ in many}
    assert all(prompt == wish.photo() and prompt_split(prompt) == "test" for prompt, wish in many)


RED, BLUE = (Thing("star", color, "plain", "small", x, 0.5) for color, x in (("red", 0.2), ("blue", 0.8)))
HEART = Thing("heart", "red", "dotted", "large", 0.5, 0.2)


@pytest.mark.parametrize(
    ("fact", "true"),
    [
        (Fact("exists", Group("star", "blue")), True),
        (Fact("exists", Group("heart", "blue")), False),
        (Fact("every", Group("star", texture="plain")), True),
        (Fact("every", Group("star", "red")), False),
        (Fact("every", Group("circle", "red")), False),
        (Fact("number", Group("star", number=2)), True),
        (Fact("number", Group("star", number=1)), False),
        (Fact("left of", Group("star", "red"), Group("star", "blue")), True),
        (Fact("right of", Group("star", "red"), Group("star", "blue")), False),
        (Fact("below", Group("star"), Group("heart", size="large")), True),
        (Fact("below", Group("star"), Group("heart", size="small")), False),
    ],
)
def test_facts_are_true_or_false(fact: Fact, true: bool) -> None:
    assert holds(fact, (RED, BLUE, HEART)) == true
    assert Fact.from_json(fact.to_json()) == fact


def test_every_thing_is_like_its_own_description() -> None:
    for seed in range(30):
        scene = sample_scene(np.random.default_rng(seed))
        for thing in scene.things:
            group = Group(thing.shape, thing.color, thing.texture, thing.size)
            assert holds(Fact("exists", group), scene.things)
            others = [color for color in COLORS if color != thing.color]
            changed = dataclasses.replace(thing, color=others[seed % len(others)])
            assert not holds(Fact("every", group), (changed,))
