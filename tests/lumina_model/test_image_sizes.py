"""Resolution buckets, and several sizes in one batch."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.errors import UserError
from lumina_model.image_sizes import buckets, nearest_bucket
from lumina_model.mixed_sizes import crop, pad


@pytest.mark.parametrize(
    ("side", "multiple", "count", "digest"),
    [
        (1024, 64, 49, "9ce51aa80d46adb9"),
        (1024, 16, 51, "ca9baea9868eef60"),
        (256, 16, 15, "9c43d7913e7cd248"),
    ],
)
def test_buckets_are_the_official_ones(side: int, multiple: int, count: int, digest: str) -> None:
    """Digests of the list that the official generate_crop_size_list returns, as (height, width)."""
    sizes = buckets(side, multiple)
    assert len(sizes) == count
    assert hashlib.sha256(repr(sizes).encode()).hexdigest()[:16] == digest
    assert (side, side) in sizes


def test_nearest_bucket_keeps_most_of_the_image() -> None:
    sizes = buckets(1024, 64)
    assert nearest_bucket(1024, 1024, sizes) == (1024, 1024)
    assert nearest_bucket(1080, 1920, sizes) == (768, 1344)
    assert nearest_bucket(1920, 1080, sizes) == (1344, 768)


def test_bad_buckets() -> None:
    with pytest.raises(UserError, match="multiple <= side"):
        buckets(32, 64)


@given(sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4))
def test_padded_latents_come_back(sizes: list[tuple[int, int]]) -> None:
    latents = [torch.randn(3, *size) for size in sizes]
    padded = pad(latents)
    assert padded.shape == (len(sizes), 3, max(h for h, _ in sizes), max(w for _, w in sizes))
    for one, other in zip(latents, crop(padded, sizes), strict=True):
        assert torch.equal(one, other)
    assert padded.abs().sum() == pytest.approx(sum(one.abs().sum().item() for one in latents), rel=1e-5)
