"""Decoding some images at a time: the same pixels as all at once, within memory."""

import copy
import warnings
from typing import Any

import pytest
import torch

from lumina_model import autoencoder as module
from lumina_model.autoencoder import Autoencoder


class Memory:
    """The decoder of a device that holds so many latent pixels of a batch; it keeps what it was asked."""

    def __init__(self, vae: Any, most: float) -> None:
        self._decode, self._most = vae.decode, most
        self.asked: list[tuple[int, ...]] = []
        self.vae = vae

    def __call__(self, z: torch.Tensor, return_dict: bool = True) -> Any:
        self.asked.append(tuple(z.shape))
        if not self.vae.use_tiling and z.shape[0] * z.shape[2] * z.shape[3] > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._decode(z, return_dict=return_dict)


@pytest.fixture
def autoencoder(autoencoder: Autoencoder) -> Autoencoder:
    """One of the test's own: in tiles once, always in tiles."""
    return Autoencoder(copy.deepcopy(autoencoder.vae))


@pytest.fixture
def held(autoencoder: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> Any:
    def within(most: float) -> Memory:
        memory = Memory(autoencoder.vae, most)
        monkeypatch.setattr(autoencoder.vae, "decode", memory)
        return memory

    return within


@pytest.mark.parametrize(("at_once", "asked"), [(2**20, [5]), (2 * 64 * 64, [2, 2, 1]), (1, [1] * 5)])
def test_some_at_a_time_gives_the_same_images(
    autoencoder: Autoencoder, held: Any, monkeypatch: pytest.MonkeyPatch, at_once: int, asked: list[int]
) -> None:
    latents = torch.randn(5, 16, 8, 8)
    whole = autoencoder.decode(latents)
    monkeypatch.setitem(module.AT_ONCE, "cpu", at_once)  # type: ignore[arg-type]
    memory = held(float("inf"))
    found = autoencoder.decode(latents)
    assert [shape[0] for shape in memory.asked] == asked
    assert (found.int() - whole.int()).abs().max() <= 1
    assert (found != whole).float().mean() < 1e-3


def test_what_does_not_fit_is_decoded_in_halves(autoencoder: Autoencoder, held: Any) -> None:
    latents = torch.randn(5, 16, 8, 8)
    whole = autoencoder.decode(latents)
    memory = held(2 * 8 * 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the images are the same: nothing to tell
        found = autoencoder.decode(latents)
    assert [shape[0] for shape in memory.asked] == [5, 3, 2, 1, 2]
    assert (found.int() - whole.int()).abs().max() <= 1


def test_an_image_that_does_not_fit_alone_is_decoded_in_tiles_which_is_said_once(
    autoencoder: Autoencoder, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TILE", 64)
    latents = torch.randn(2, 16, 8, 24)
    whole = autoencoder.decode(latents)
    held(8 * 8)
    with pytest.warns(UserWarning, match="64 x 192 pixels .* in tiles of 64 pixels") as told:
        found = autoencoder.decode(latents)
    assert len(told) == 1
    assert autoencoder.tiled
    assert found.shape == whole.shape
    assert torch.equal(found[:, :48, :48], autoencoder.decode(latents[..., :8])[:, :48, :48])


def test_what_does_not_fit_in_tiles_either_is_an_error(
    autoencoder: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(autoencoder.vae, "decode", never)
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="in tiles"):
        autoencoder.decode(torch.randn(1, 16, 8, 8))
