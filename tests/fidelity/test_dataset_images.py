"""A reference out of a parquet file of images, by the ``datasets`` library."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from benchmarks.fidelity import reference
from benchmarks.fidelity.features.dataset_images import images_of, place_of
from lumina_eval.errors import UserError

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255, 128), (9, 9, 9)]


class MeanColor:
    """An extractor that can be followed by eye."""

    name, digest, width = "mean-color", "0" * 64, 3

    def images(self, images: list[Image.Image]) -> np.ndarray:
        return np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images], np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four images of one colour each, one of them with transparency, beside their captions."""
    images = [Image.new("RGBA" if len(color) == 4 else "RGB", (8, 8), color) for color in COLORS]
    table = datasets.Dataset.from_dict({"image": images, "caption": ["a", "b", "c", "d"]})
    made = table.cast_column("image", datasets.Image())
    made.to_parquet(tmp_path / "some.parquet")
    return tmp_path / "some.parquet"


def test_images_come_in_order_and_in_rgb(file: Path) -> None:
    images = list(images_of(place_of(f"datasets:{file}")))
    assert [image.getpixel((0, 0)) for image in images] == [color[:3] for color in COLORS]
    found = reference.given(f"datasets:{file}:image", MeanColor(), None)
    assert found.rows is not None
    assert found.rows.tolist() == [list(color[:3]) for color in COLORS]
    assert "4 images of" in found.name
    assert reference.listing_digest(f"datasets:{file}") == place_of(f"datasets:{file}").digest


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("datasets:{file}:caption", "expected images in caption, found image among image, caption"),
        ("datasets:{file}:image:more", "at most 1 names after a colon"),
        ("datasets:nowhere.parquet", "found none at nowhere.parquet"),
        ("datasets:owner/name", "fix: name a file, or a dataset with @ and a commit"),
    ],
)
def test_what_cannot_be_read_is_told(file: Path, address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        reference.given(address.format(file=file), MeanColor(), None)


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"cannot read images of .*broken\.parquet"):
        reference.given(f"datasets:{tmp_path / 'broken.parquet'}", MeanColor(), None)
