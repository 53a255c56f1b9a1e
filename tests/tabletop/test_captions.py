"""Captions are true, grammatical, and in English short form what GenEval asks.

The readers here know the languages' words from their own tables and never look at the package's.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tabletop.world.captions import LANGUAGES, LEVELS, caption, captions
from benchmarks.tabletop.world.planning import covers
from benchmarks.tabletop.world.renderer import silhouette
from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene

SHAPES = ["circle", "square", "triangle", "diamond", "star", "heart", "cross", "crescent"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
TEXTURES = ["plain", "striped", "dotted", "checkered"]
SIZES = {"small": "small", "medium-sized": "medium", "large": "large"}
NUMBERS = {"a": 1, "an": 1, "the": 1, "two": 2, "three": 3, "four": 4, "five": 5}

NOUN_PHRASE = re.compile(
    rf"\b(?P<number>{'|'.join(NUMBERS)})\s"
    rf"(?:(?P<size>{'|'.join(SIZES)})\s)?(?:(?P<texture>{'|'.join(TEXTURES)})\s)?(?:(?P<color>{'|'.join(COLORS)})\s)?"
    rf"(?P<shape>{'|'.join(SHAPES)})(?P<plural>es|s)?\b",
    re.IGNORECASE,
)
RELATION = re.compile(
    r"^(.+?) (?:is|lies|photo of)? ?(?:to the )?(left of|right of|above|below) (.+)$", re.IGNORECASE
)

scenes = st.integers(0, 2**32 - 1).map(lambda seed: sample_scene(np.random.default_rng(seed)))
seeds = st.integers(0, 2**32 - 1)


def draw(scene: Scene, seed: int) -> dict[str, dict[str, str]]:
    return captions(scene, np.random.default_rng(seed))


class Read:
    """A noun phrase of English text: how many things, and what is said of them."""

    def __init__(self, match: re.Match[str]) -> None:
        word = match["number"].lower()
        self.definite = word == "the"
        self.number = NUMBERS[word]
        self.shape = match["shape"].lower()
        self.color, self.texture = match["color"], match["texture"]
        self.size = SIZES[match["size"].lower()] if match["size"] else None
        assert (match["plural"] is not None) == (self.number > 1), match[0]
        if self.number > 1:
            assert match["plural"] == ("es" if self.shape == "cross" else "s"), match[0]
        if word in ("a", "an"):
            assert (word == "an") == (match[0].split()[1][0] in "aeiou"), match[0]

    def fits(self, thing: Thing) -> bool:
        told = ((self.color, thing.color), (self.texture, thing.texture), (self.size, thing.size))
        return self.shape == thing.shape and all(said in (None, true) for said, true in told)

    def count_in(self, scene: Scene) -> int:
        return sum(map(self.fits, scene.things))


def read(text: str) -> list[Read]:
    return [Read(match) for match in NOUN_PHRASE.finditer(text)]


def assert_partition(phrases: list[Read], scene: Scene) -> None:
    """Each thing is counted by exactly one phrase: no thing forgotten, none invented."""
    assert sum(phrase.number for phrase in phrases) == len(scene.things)
    for phrase in phrases:
        assert phrase.count_in(scene) == phrase.number


def stands(first: Thing, relation: str, second: Thing) -> bool:
    """Whether the direction is clear: more than 30 degrees away from not holding."""
    dx, dy = second.x - first.x, second.y - first.y
    along = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
    return along > 0.5 * math.hypot(dx, dy)


def assert_relations(text: str, scene: Scene) -> int:
    """Check every relation in the text; return how many there are."""
    found = 0
    for sentence in re.split(r"(?<=\.)\s", text):
        if match := RELATION.match(sentence):
            (a,), (b,) = read(match[1]), read(match[3])
            for phrase in (a, b):
                assert not phrase.definite or phrase.count_in(scene) == 1
            assert any(
                stands(first, match[2], second)
                for first in filter(a.fits, scene.things)
                for second in filter(b.fits, scene.things)
                if first is not second
            ), sentence
            found += 1
    return found


def pairs(n: int) -> Iterator[tuple[Scene, np.random.Generator]]:
    rng = np.random.default_rng(5)
    for _ in range(n):
        yield sample_scene(rng), rng


@given(scenes, seeds)
def test_every_language_and_level_says_something(scene: Scene, seed: int) -> None:
    told = draw(scene, seed)
    assert set(told) == {"en", "zh", "ja", "ru", "de"} == set(LANGUAGES)
    for levels in told.values():
        assert tuple(levels) == ("tag", "short", "medium", "detailed") == LEVELS
        for text in levels.values():
            assert text == text.strip()
            assert "  " not in text
            assert not re.search(r"[{}]|None", text)


@given(scenes, seeds)
def test_same_seed_same_words(scene: Scene, seed: int) -> None:
    assert draw(scene, seed) == draw(scene, seed)
    for level in LEVELS:
        first, second = (caption(scene, level, "ru", np.random.default_rng(seed)) for _ in range(2))
        assert first == second


def test_unknown_language_or_level() -> None:
    scene, rng = next(pairs(1))
    with pytest.raises(KeyError):
        caption(scene, "short", "tlh", rng)
    with pytest.raises(KeyError):
        caption(scene, "endless", "en", rng)  # type: ignore[arg-type]


@given(scenes, seeds)
def test_short_counts_every_thing_once(scene: Scene, seed: int) -> None:
    text = draw(scene, seed)["en"]["short"]
    assert text.startswith("a photo of ")
    assert_partition(read(text.removeprefix("a photo of ")), scene)
    assert_relations(text.removeprefix("a photo of "), scene)


@given(scenes, seeds)
def test_tags_count_every_thing_once(scene: Scene, seed: int) -> None:
    groups = []
    for tag in draw(scene, seed)["en"]["tag"].split("; "):
        head, *looks = tag.split(", ")
        number, _, noun = head.rpartition(" ")
        looks.sort(key=lambda word: (word in COLORS, word in TEXTURES))  # size, texture, colour
        assert len(looks) == len(set(looks))
        phrase = " ".join((*looks, noun))
        article = "an" if phrase[0] in "aeiou" else "a"
        groups += read(f"{number or article} {phrase}")
    assert_partition(groups, scene)


@given(scenes, seeds)
def test_medium_counts_every_thing_with_its_color(scene: Scene, seed: int) -> None:
    first, *rest = re.split(r"(?<=\.)\s", draw(scene, seed)["en"]["medium"])
    phrases = read(first.replace("on a gray table", ""))
    assert_partition(phrases, scene)
    assert all(phrase.color for phrase in phrases)
    assert len(rest) <= 1
    assert_relations(" ".join(rest), scene)


@given(scenes, seeds)
def test_detailed_is_true_and_complete(scene: Scene, seed: int) -> None:
    first, *rest = re.split(r"(?<=\.)\s", draw(scene, seed)["en"]["detailed"])
    assert_partition(read(first), scene)
    placed: Counter[tuple[str, str, str, str, str]] = Counter()
    for sentence in rest:
        phrases = read(sentence)
        assert all(phrase.count_in(scene) >= phrase.number for phrase in phrases), sentence
        if match := re.search(
            r"(?:at|on|in) the (top|bottom|center)?\s?(left|right)?\b", sentence, re.IGNORECASE
        ):
            (phrase,) = phrases
            here = [t for t in filter(phrase.fits, scene.things) if frame_cell(t) == match.groups("")]
            assert len(here) == phrase.number, sentence
            placed.update((t.shape, t.color, t.texture, t.size, str(frame_cell(t))) for t in here)
        if "largest" in sentence.lower():
            (phrase,) = phrases
            widest = max(thing.diameter for thing in scene.things)
            assert [phrase.fits(t) for t in scene.things if t.diameter == widest] == [True]
    assert placed == Counter(
        (t.shape, t.color, t.texture, t.size, str(frame_cell(t))) for t in scene.things
    ), "every thing is placed once, with all of its attributes"
    assert_relations(" ".join(rest), scene)
    assert "gray" in rest[-1]


def frame_cell(thing: Thing) -> tuple[str, str]:
    row = ["top", "", "bottom"][min(2, int(thing.y * 3))]
    column = ["left", "", "right"][min(2, int(thing.x * 3))]
    return (row or ("" if column else "center"), column)


@given(scenes, seeds)
def test_covering_is_told_exactly_where_it_is(scene: Scene, seed: int) -> None:
    said = re.findall(r"[^.]*(?:partly|overlaps)[^.]*\.", draw(scene, seed)["en"]["detailed"])
    hidden = [
        (top, bottom)
        for i, bottom in enumerate(scene.things)
        for top in scene.things[i + 1 :]
        if np.count_nonzero(silhouette(top, 64) & silhouette(bottom, 64)) >= 4
    ]
    assert len(said) == len(hidden)
    for sentence in said:
        a, b = read(sentence)
        assert any(a.fits(top) and b.fits(bottom) for top, bottom in hidden), sentence


def test_covers_reaches_the_corners() -> None:
    """Corners of squares reach past their bounding circles; tips of stars leave gaps within theirs."""
    square = Thing("square", "red", "plain", "large", 0.3, 0.3)
    assert covers(Thing("square", "blue", "plain", "large", 0.57, 0.57), square)
    assert not covers(Thing("square", "blue", "plain", "large", 0.62, 0.62), square)
    star = Thing("star", "red", "plain", "large", 0.3, 0.5)
    assert not covers(Thing("star", "blue", "plain", "large", 0.3, 0.8), star)


FORMS = {
    "single_object": r"a photo of an? \w+",
    "colors": rf"a photo of an? ({'|'.join(COLORS)}) \w+",
    "two_object": r"a photo of an? \w+ and an? \w+",
    "color_attr": r"a photo of an? \w+ \w+ and an? \w+ \w+",
    "position": r"a photo of an? \w+ (left of|right of|above|below) an? \w+",
    "counting": r"a photo of (two|three|four) \w+s",
}


def test_short_has_all_geneval_forms_in_useful_shares() -> None:
    told = Counter[str]()
    for scene, rng in pairs(3000):
        text = caption(scene, "short", "en", rng)
        told.update(name for name, form in FORMS.items() if re.fullmatch(form, text))
    for name in FORMS:
        assert told[name] > 0.03 * 3000, told
    assert sum(told.values()) > 0.7 * 3000, told


def test_relations_are_often_told() -> None:
    """At least one relation in most detailed captions of several things; the reader finds them all true."""
    told = [assert_relations(caption(scene, "detailed", "en", rng), scene) for scene, rng in pairs(500)]
    assert np.mean(np.array(told) > 0) > 0.4


def test_both_orders_of_two_things() -> None:
    star = Thing("star", "red", "plain", "small", 0.2, 0.5)
    heart = Thing("heart", "blue", "plain", "small", 0.8, 0.5)
    scene = Scene((star, heart), (150, 150, 150))
    rng = np.random.default_rng(0)
    said = {caption(scene, "short", "en", rng) for _ in range(300)}
    assert said == {
        "a photo of a star and a heart",
        "a photo of a heart and a star",
        "a photo of a red star and a blue heart",
        "a photo of a blue heart and a red star",
        "a photo of a star left of a heart",
        "a photo of a heart right of a star",
        "a photo of a red star left of a blue heart",
        "a photo of a blue heart right of a red star",
    }
