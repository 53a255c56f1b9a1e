"""Decoding some images at a time: the same pixels as all at once, within memory; large images in tiles."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lumina_model import autoencoder as module
from lumina_model.autoencoder import Autoencoder


class Memory:
    """The decoder of a device that holds so many latent pixels; it keeps what it was asked."""

    def __init__(self, vae: Any, most: float) -> None:
        self._decode, self._most = vae.decode, most
        self.asked: list[int] = []

    def __call__(self, z: torch.Tensor, return_dict: bool = True) -> Any:
        self.asked.append(len(z))
        if z.shape[0] * z.shape[2] * z.shape[3] > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._decode(z, return_dict=return_dict)


Held = Callable[[float], Memory]


@pytest.fixture
def held(autoencoder: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> Held:
    def within(most: float) -> Memory:
        memory = Memory(autoencoder.vae, most)
        monkeypatch.setattr(autoencoder.vae, "decode", memory)
        return memory

    return within


def latents(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, 16, *shape, generator=torch.Generator().manual_seed(0))


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether images are the same but for rounding."""
    apart = (found.int() - expected.int()).abs()
    return apart.max() <= 1 and (apart > 0).float().mean() < 1e-3


@pytest.mark.parametrize(("at_once", "asked"), [(2**20, [5]), (2 * 64 * 64, [2, 2, 1]), (1, [1] * 5)])
def test_some_at_a_time_gives_the_same_images(
    autoencoder: Autoencoder, held: Held, monkeypatch: pytest.MonkeyPatch, at_once: int, asked: list[int]
) -> None:
    whole = autoencoder.decode(latents(5, 8, 8))
    monkeypatch.setitem(module.AT_ONCE, "cpu", at_once)  # type: ignore[arg-type]
    memory = held(float("inf"))
    found = autoencoder.decode(latents(5, 8, 8))
    assert memory.asked == asked
    assert close(found, whole)


def test_what_does_not_fit_is_decoded_in_halves(autoencoder: Autoencoder, held: Held) -> None:
    whole = autoencoder.decode(latents(5, 8, 8))
    memory = held(2 * 8 * 8)
    found = autoencoder.decode(latents(5, 8, 8))
    assert memory.asked == [5, 3, 2, 1, 2]
    assert close(found, whole)


def test_an_image_that_does_not_fit_is_an_error_and_never_another_image(
    autoencoder: Autoencoder, held: Held
) -> None:
    held(63)
    with pytest.raises(torch.OutOfMemoryError):
        autoencoder.decode(latents(2, 8, 8))


def test_large_images_are_decoded_in_tiles_whatever_is_beside_them(
    autoencoder: Autoencoder, held: Held
) -> None:
    own = Autoencoder(copy.deepcopy(autoencoder.vae))
    wide = latents(2, 8, 24)
    whole = own.decode(wide)
    own.largest_whole = own.tile = 64
    tiled = own.decode(wide)
    assert tiled.shape == whole.shape == (2, 64, 192, 3)
    # Up to where the tiles meet each is decoded by itself, and the rest is blended.
    assert close(tiled[:, :48, :48], own.decode(wide[..., :8])[:, :48, :48])
    assert not close(tiled, whole)
    assert close(own.decode(wide[:1]), tiled[:1])
    own.largest_whole = 192
    assert torch.equal(own.decode(wide), whole)
