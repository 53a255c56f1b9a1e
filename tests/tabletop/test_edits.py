"""An edit changes one thing in one respect, and the prompt is then no longer fulfilled."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from benchmarks.geneval.prompts import generate
from benchmarks.geneval.vocabulary import TABLETOP
from benchmarks.tabletop.trial.edits import KINDS, Edit, edits_of
from benchmarks.tabletop.trial.truth import accepts, perfect_output, scene_for
from benchmarks.tabletop.world.scene import Scene, Thing


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    found = []
    for k, record in enumerate(generate(TABLETOP, seed=5, draws=8)):
        rng = np.random.default_rng([3, k])
        found += edits_of(record, scene_for(record, rng), rng)
    return found


def test_every_kind_occurs(edits: list[Edit]) -> None:
    assert set(Counter(edit.kind for edit in edits)) == set(KINDS)


def test_the_original_fulfils_the_prompt_and_the_edited_scene_does_not(edits: list[Edit]) -> None:
    for edit in edits:
        for size in (64, 128):
            assert accepts(edit.metadata, perfect_output(edit.original, size))
            assert not accepts(edit.metadata, perfect_output(edit.edited, size))


def changed(edit: Edit) -> list[tuple[Thing, Thing]]:
    pairs = zip(edit.original.things, edit.edited.things, strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_only_one_respect_changes(edits: list[Edit]) -> None:
    field = {"color": "color", "shape": "shape", "texture": "texture"}
    for edit in edits:
        before, after = Counter(edit.original.things), Counter(edit.edited.things)
        assert edit.original.background == edit.edited.background
        match edit.kind:
            case "color" | "shape" | "texture":
                ((old, new),) = changed(edit)
                name = field[edit.kind]
                assert getattr(old, name) != getattr(new, name)
                assert dataclasses.replace(old, **{name: getattr(new, name)}) == new
            case "missing" | "count less":
                assert after < before
                assert before.total() - after.total() == 1
            case "count more":
                assert before < after
                assert after.total() - before.total() == 1
            case "relation":
                for old, new in changed(edit):
                    assert (old.x == new.x) != (old.y == new.y)
                    assert dataclasses.replace(old, x=new.x, y=new.y) == new
            case other:
                raise AssertionError(other)


def test_things_of_one_color_still_do_not_touch(edits: list[Edit]) -> None:
    for edit in edits:
        for i, a in enumerate(edit.edited.things):
            for b in edit.edited.things[:i]:
                if a.color == b.color:
                    assert np.hypot(a.x - b.x, a.y - b.y) >= (a.diameter + b.diameter) / 2


def test_a_texture_clause_is_part_of_what_is_asked() -> None:
    thing = Thing("star", "red", "dotted", "large", 0.5, 0.5)
    output = perfect_output(Scene((thing,), (150, 150, 150)), 64)
    asked = {
        "tag": "single_object",
        "include": [{"class": "star", "count": 1, "texture": "dotted"}],
        "prompt": "",
    }
    assert accepts(asked, output)
    assert not accepts({**asked, "include": [{**asked["include"][0], "texture": "plain"}]}, output)
