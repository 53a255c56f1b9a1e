"""Latents of a training set, computed once and kept in a memory-mapped file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lumina_model.autoencoder import Autoencoder
from lumina_model.training.data import Example, load_images
from lumina_model.training.progress import shown

BATCH = 32


def latents_of(
    examples: Sequence[Example], size: int, autoencoder: Autoencoder, folder: Path
) -> npt.NDArray[np.float16]:
    """Return normalised latents, float16 (N, C, size/8, size/8), from the cache where it has them.

    The cache is named by the images' paths, the size and the encoder's weights, so it is never stale (unless
    images are changed in place). It is built in a partial file that is resumed after a kill.
    """
    name = hashlib.sha256()
    for example in examples:
        name.update(str(example.image_path).encode() + b"\n")
    name.update(f"{size} {encoder_digest(autoencoder)}".encode())
    path = folder / f"{name.hexdigest()[:16]}-{size}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _build(path, examples, size, autoencoder)
    return np.load(path, mmap_mode="r")


def encoder_digest(autoencoder: Autoencoder) -> str:
    """Return a sha256 over all that latents depend on: the encoder's weights, scale and shift."""
    digest = hashlib.sha256(f"{autoencoder.scale} {autoencoder.shift}".encode())
    for key, tensor in sorted(autoencoder.vae.encoder.state_dict().items()):
        digest.update(key.encode() + tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _build(path: Path, examples: Sequence[Example], size: int, autoencoder: Autoencoder) -> None:
    autoencoder.vae.to(memory_format=torch.channels_last)  # half again as fast on a CPU
    side = size // autoencoder.factor
    shape = (len(examples), autoencoder.channels, side, side)
    partial, done_file = path.with_suffix(".partial"), path.with_suffix(".done")
    done = int(done_file.read_text()) if done_file.is_file() and partial.is_file() else 0
    cache = np.lib.format.open_memmap(
        partial,
        mode="r+" if done else "w+",
        dtype=None if done else np.float16,
        shape=None if done else shape,
    )
    with shown(f"latents at {size} px", len(examples), done, "images") as show:
        for start in range(done, len(examples), BATCH):
            images = load_images([e.image_path for e in examples[start : start + BATCH]], size)
            with torch.autocast("cpu", torch.bfloat16):
                z = autoencoder.encode(images.contiguous(memory_format=torch.channels_last))
            cache[start : start + BATCH] = z.numpy().astype(np.float16)
            show(min(start + BATCH, len(examples)), "")
            if start // BATCH % 100 == 99:
                cache.flush()
                done_file.write_text(str(start + BATCH))
    cache.flush()
    os.replace(partial, path)
    done_file.unlink(missing_ok=True)
