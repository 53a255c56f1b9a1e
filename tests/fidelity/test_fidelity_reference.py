"""A user's reference is known by what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.fidelity.reference import listing_digest


def test_other_pixels_of_equal_size_are_another_reference(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    size, before = (tmp_path / "a.npy").stat().st_size, listing_digest(str(tmp_path))
    assert listing_digest(str(tmp_path)) == before
    np.save(tmp_path / "a.npy", pixels + np.uint8(1))
    assert (tmp_path / "a.npy").stat().st_size == size
    assert listing_digest(str(tmp_path)) != before
