"""The judge of sets and the reader of references share what an extractor has seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.fidelity import judging
from benchmarks.fidelity.adapter import Fidelity
from benchmarks.fidelity.features.extraction import extract
from benchmarks.fidelity.features.store import FeatureStore
from benchmarks.fidelity.judging import FeatureJudge
from benchmarks.fidelity.options import options_of
from lumina_eval.evaluation import find_protocol
from lumina_eval.records import Item


class Counting:
    """Mean colours; counts what it was shown."""

    name, digest, width = "counting", "3" * 64, 3

    def __init__(self) -> None:
        self.shown = 0

    def images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.shown += len(images)
        return np.array([np.asarray(image).mean(axis=(0, 1)) for image in images], dtype=np.float32)


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(judging, "open_extractor", lambda *_: counting)
    return counting


def judge_in(folder: Path) -> FeatureJudge:
    return FeatureJudge(options_of(find_protocol(Fidelity(), "folder")), folder)


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(4)
    return [Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for _ in range(count)]


def test_a_picture_on_both_sides_is_looked_at_once(tmp_path: Path, extractor: Counting) -> None:
    images = pictures(3)
    paths = [tmp_path / f"{place}.png" for place in range(3)]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    store = FeatureStore(tmp_path / "store", extractor.digest, extractor.width)
    extract(paths, extractor, store)
    assert extractor.shown == 3
    items = [Item(id=str(place), prompt="", task="all") for place in range(3)]
    judge_in(tmp_path / "store").judge(images, items)
    assert extractor.shown == 3


def test_a_store_is_opened_once(tmp_path: Path, extractor: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open it is to read all its keys: for every batch, that is quadratic."""
    opened: list[str] = []

    class Watched(FeatureStore):
        def __init__(self, root: Path, digest: str, width: int) -> None:
            opened.append(digest)
            super().__init__(root, digest, width)

    monkeypatch.setattr(judging, "FeatureStore", Watched)
    judge = judge_in(tmp_path)
    for image in pictures(3):
        judge.judge([image], [Item(id="0", prompt="", task="all")])
    assert opened == [extractor.digest]
