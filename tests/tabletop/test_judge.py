"""The judge sees what was drawn, at any size, and does not see what was not."""

from __future__ import annotations

import json
import math
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.geneval.reading import check_output
from benchmarks.geneval.vocabulary import TABLETOP
from benchmarks.tabletop.sight.judge import TabletopJudge, output_of
from benchmarks.tabletop.sight.perception import Seen, see
from benchmarks.tabletop.trial.distortions import blurred, noisy, off_palette
from benchmarks.tabletop.world.renderer import render, silhouette, visible_masks
from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene
from benchmarks.tabletop.world.vocabulary import COLORS, SHAPES
from lumina_eval.plugins import Judge

GREY = (156, 155, 158)


def scenes(n: int, seed: int) -> list[Scene]:
    return [sample_scene(np.random.default_rng([seed, k])) for k in range(n)]


def looks(things: tuple[Thing, ...] | list[Seen]) -> Counter[tuple[str, str, str]]:
    return Counter((thing.shape, thing.color, thing.texture) for thing in things)


@pytest.mark.parametrize("size", [64, 128])
def test_every_thing_is_seen_as_it_was_drawn(size: int) -> None:
    right = [looks(see(render(scene, size))) == looks(scene.things) for scene in scenes(60, 1)]
    assert sum(right) >= 59


@pytest.mark.parametrize("size", [48, 96, 200, 256])
def test_other_sizes_are_read_as_well(size: int) -> None:
    right = [looks(see(render(scene, size))) == looks(scene.things) for scene in scenes(12, 2)]
    assert sum(right) >= (11 if size > 48 else 9)


@pytest.mark.parametrize("size", [64, 128])
def test_boxes_are_tight_and_scores_are_visible_fractions(size: int) -> None:
    for scene in scenes(30, 3):
        seen = see(render(scene, size))
        for thing, mask in zip(scene.things, visible_masks(scene, size), strict=True):
            match = max(seen, key=lambda one: int((one.mask & mask).sum()))
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.abs(np.subtract(match.box, box)).max() <= 2
            visible = mask.sum() / silhouette(thing, size).sum()
            assert match.score == pytest.approx(visible, abs=0.04)
            if visible > 0.995:
                assert match.score > 0.9


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_covered_thing_falls_below_the_counting_threshold(size: int, shape: str) -> None:
    bottom = Thing(shape, "red", "plain", "large", 0.55, 0.5)
    tried = 0
    for shift in np.linspace(0.1, 0.4, 13):
        top = Thing("circle", "blue", "plain", "medium", 0.55 - float(shift), 0.5)
        scene = Scene((bottom, top), GREY)
        visible = visible_masks(scene, size)[0].sum() / silhouette(bottom, size).sum()
        if 0.6 < visible < 0.86:
            tried += 1
            scores = {
                thing.shape if thing.color == "red" else "top": thing.score
                for thing in see(render(scene, size))
            }
            assert scores[shape] <= 0.9
            assert scores["top"] > 0.9
    assert tried


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [64, 128])
def test_two_of_one_color_close_by_are_two(shape: str, size: int) -> None:
    things = tuple(Thing(shape, "green", "plain", "medium", x, 0.5) for x in (0.5 - 0.175, 0.5 + 0.175))
    seen = [thing for thing in see(render(Scene(things, GREY), size)) if thing.score > 0.9]
    assert [thing.shape for thing in seen] == [shape, shape]


def odd_figures(size: int) -> dict[str, np.ndarray]:
    unit = size / 64
    middle = (round(32 * unit), round(32 * unit))

    def paper() -> np.ndarray:
        return np.full((size, size, 3), GREY, np.uint8)

    red = COLORS["red"]
    ring, bar, ellipse, corner = paper(), paper(), paper(), paper()
    cv2.circle(ring, middle, round(10 * unit), red, round(4 * unit), cv2.LINE_AA)
    cv2.rectangle(bar, (round(16 * unit), round(28 * unit)), (round(48 * unit), round(36 * unit)), red, -1)
    cv2.ellipse(ellipse, middle, (round(15 * unit), round(8 * unit)), 0, 0, 360, red, -1, cv2.LINE_AA)
    corner[round(20 * unit) : round(44 * unit), round(20 * unit) : round(44 * unit)] = red
    corner[round(20 * unit) : round(33 * unit), round(31 * unit) : round(44 * unit)] = GREY
    return {"ring": ring, "bar": bar, "ellipse": ellipse, "corner": corner}


@pytest.mark.parametrize("size", [64, 128])
def test_a_badly_formed_blob_counts_for_nothing(size: int) -> None:
    for name, picture in odd_figures(size).items():
        assert all(thing.score <= 0.3 for thing in see(picture)), name


@pytest.mark.parametrize("size", [64, 128])
def test_a_thing_of_two_colors_is_none(size: int) -> None:
    halves = [
        render(Scene((Thing("star", color, "plain", "large", 0.5, 0.5),), GREY), size)
        for color in ("red", "blue")
    ]
    halves[0][:, size // 2 :] = halves[1][:, size // 2 :]
    assert all(thing.score <= 0.3 for thing in see(halves[0]) if thing.shape == "star")


@pytest.mark.parametrize("size", [64, 128])
def test_a_speck_is_no_thing(size: int) -> None:
    picture = np.full((size, size, 3), GREY, np.uint8)
    cv2.circle(picture, (size // 2, size // 2), round(0.055 * size), COLORS["blue"], -1, cv2.LINE_AA)
    assert all(thing.score <= 0.3 for thing in see(picture))


def test_an_empty_table_is_empty_whatever_its_grey() -> None:
    for grey in (100, 140, 172, 190):
        assert see(np.full((64, 64, 3), grey, np.uint8)) == []


def test_pictures_of_nothing_are_borne() -> None:
    rng = np.random.default_rng(0)
    for picture in (
        rng.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 1, 3)),
    ):
        assert all(0 <= thing.score <= 1 and math.isfinite(thing.score) for thing in see(picture))


@pytest.mark.parametrize(
    "draw", [blurred(0.8), noisy(15), off_palette(8)], ids=["blur", "noise", "off-palette"]
)
@pytest.mark.parametrize("size", [64, 128])
def test_harm_of_the_common_kinds_is_borne(draw: object, size: int) -> None:
    right = 0
    for k, scene in enumerate(scenes(24, 4)):
        picture = draw(scene, size, np.random.default_rng(k))  # type: ignore[operator]
        seen = [thing for thing in see(picture) if thing.score > 0.3]
        right += Counter((t.shape, t.color) for t in seen) == Counter(
            (t.shape, t.color) for t in scene.things
        )
    assert right >= 23


def test_strong_harm_is_not_seen_through() -> None:
    """A judge that always answers right under any blur would not be looking at the picture."""
    strong = blurred(4.0)
    right = [
        looks(see(strong(scene, 64, np.random.default_rng(0)))) == looks(scene.things)
        for scene in scenes(20, 5)
    ]
    assert sum(right) <= 6


def test_the_verdict_is_json_that_the_rules_accept() -> None:
    judge = TabletopJudge()
    assert isinstance(judge, Judge)
    assert judge.kind == "detect"
    pictures = [Image.fromarray(render(scene, 64)) for scene in scenes(6, 6)]
    outputs = judge.judge(pictures, [])
    assert outputs == [judge.judge([picture], [])[0] for picture in pictures], "images do not see each other"
    for output in outputs:
        checked = check_output(json.loads(json.dumps(output)), TABLETOP, "here")
        assert set(checked["detections"]) == set(output["colors"]) == set(output["textures"])
        for name, rows in output["detections"].items():
            assert len(rows) == len(output["colors"][name]) == len(output["textures"][name])
            assert all(round(value, 4) == value for row in rows for value in row)
            assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)


def test_gray_and_transparent_pictures_are_taken_too() -> None:
    picture = Image.fromarray(render(scenes(1, 7)[0], 64))
    plain = TabletopJudge().judge([picture], [])
    assert TabletopJudge().judge([picture.convert("RGBA")], []) == plain
    assert TabletopJudge().judge([picture.convert("L")], []) is not None


def test_the_digest_is_that_of_the_source_and_stays() -> None:
    assert TabletopJudge().digest == TabletopJudge().digest
    assert len(TabletopJudge().digest) == 64
    assert json.dumps(dict(TabletopJudge().settings))


def test_output_of_no_things_is_empty() -> None:
    assert output_of([]) == {"detections": {}, "colors": {}, "textures": {}}
