"""A training set on disk: the same for any number of workers, nothing unseen, patterns as asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.tabletop.cli import app
from benchmarks.tabletop.world import splits
from benchmarks.tabletop.world.dataset import example_scene, write_dataset
from benchmarks.tabletop.world.scene import sample_scene
from benchmarks.tabletop.world.vocabulary import TEXTURES


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_dataset(tmp_path / str(workers), 6, size=64, seed=3, workers=workers, patterned=0.5)
    alone, shared = files(tmp_path / "1"), files(tmp_path / "2")
    assert alone == shared
    assert len(alone) == 6 + 2
    first = json.loads(alone["train.jsonl"].splitlines()[0])
    with Image.open(tmp_path / "1" / first["image_path"]) as image:
        assert image.size == (64, 64)
    assert first["prompt"] == first["captions"]["en"]["short"]


@pytest.mark.parametrize("patterned", [None, 0.0, 0.75, 1.0])
def test_nothing_unseen_and_patterns_as_asked(patterned: float | None) -> None:
    scenes = [example_scene(index, 1, patterned)[0] for index in range(300)]
    assert not any(splits.is_unseen(scene) for scene in scenes)
    textures = [thing.texture for scene in scenes for thing in scene.things]
    share = 1 - textures.count("plain") / len(textures)
    assert share == pytest.approx(0.45 if patterned is None else patterned, abs=0.06)
    if share:
        for pattern in TEXTURES[1:]:
            assert textures.count(pattern) / len(textures) == pytest.approx(share / 3, abs=0.05)


def test_only_patterns_are_drawn_anew() -> None:
    drawn = {index: sample_scene(np.random.default_rng([1, index])) for index in range(40)}
    seen = {index: scene for index, scene in drawn.items() if not splits.is_unseen(scene)}
    compared = 0
    for index, own in seen.items():
        other = example_scene(index, 1, 1.0)[0]
        if other.background == own.background:  # else it came out unseen and another scene was drawn
            compared += 1
            plain = [dataclasses.replace(thing, texture="plain") for thing in other.things]
            assert plain == [dataclasses.replace(thing, texture="plain") for thing in own.things]
            assert all(thing.texture != "plain" for thing in other.things)
    assert compared > 15


def test_a_share_that_is_none_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dataset", str(tmp_path / "set"), "--patterned", "1.5"])
    assert result.exit_code == 2
    assert "less than or equal to 1" in result.output
    assert not (tmp_path / "set").exists()
