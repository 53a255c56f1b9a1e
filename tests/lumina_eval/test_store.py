"""The image store gives back what was put in, or nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumina_eval.errors import UserError
from lumina_eval.store import ImageStore

KEY = "ab" + "0" * 62


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images").open()


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8))


def test_pixels_come_back_and_the_layout_is_as_documented(store: ImageStore) -> None:
    digest = store.write(KEY, noise(), {"seed": 1})
    found = store.read(KEY)
    assert found is not None
    assert found.sha256 == digest == store.sha256(KEY)
    assert np.array_equal(np.asarray(found.image), np.asarray(noise()))
    assert store.path(KEY) == store.root / "ab" / f"{KEY}.png"
    assert sorted(p.suffix for p in (store.root / "ab").iterdir()) == [".json", ".png"]


def test_the_same_pixels_are_the_same_bytes(store: ImageStore) -> None:
    other = "cd" + "0" * 62
    assert store.write(KEY, noise(), {}) == store.write(other, noise(), {})


def test_every_truncation_counts_as_missing(store: ImageStore) -> None:
    store.write(KEY, noise(), {})
    whole = store.path(KEY).read_bytes()
    for length in range(len(whole)):
        store.path(KEY).write_bytes(whole[:length])
        assert store.sha256(KEY) is None
        assert store.read(KEY) is None
    store.path(KEY).write_bytes(whole)
    assert store.read(KEY) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"sha256": null}', '{"sha256": "0"}', "\xff"])
def test_an_image_without_a_whole_sidecar_counts_as_missing(store: ImageStore, text: str) -> None:
    store.write(KEY, noise(), {})
    store.path(KEY).with_suffix(".json").write_text(text, encoding="latin-1")
    assert store.sha256(KEY) is None


def test_another_image_under_the_same_name_counts_as_missing(store: ImageStore) -> None:
    store.write(KEY, noise(), {})
    noise(1).save(store.path(KEY))
    assert store.read(KEY) is None


def test_a_full_disk_is_said_and_leaves_what_was_there(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(KEY, noise(), {})
    before = sorted((p.name, p.read_bytes()) for p in (store.root / "ab").iterdir())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        store.write(KEY, noise(1), {})
    assert sorted((p.name, p.read_bytes()) for p in (store.root / "ab").iterdir()) == before


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        ImageStore(tmp_path / "file" / "images").open()
