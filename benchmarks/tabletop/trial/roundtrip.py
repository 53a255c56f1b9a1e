"""Pictures through an autoencoder and back: the best that a model which draws in its latents could do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lumina_eval.errors import UserError, first_line

Picture = npt.NDArray[np.uint8]


def embedded_folder() -> Path:
    """Return the folder of the autoencoder that comes with the package.

    Raises:
        UserError: a file of the bundle is not what its SHA256SUMS say.
    """
    from lumina_model import embedded

    return embedded.parts(embedded.STAGES[-1])["vae"]


class Roundtrip:
    """Encode to the latents' mode and decode again, one picture at a time, on the CPU in float32.

    Scaling and shift of latents cancel, so they play no part.
    """

    def __init__(self, folder: Path) -> None:
        """Load an ``AutoencoderKL`` in diffusers' layout.

        Raises:
            UserError: there is none in the folder.
        """
        import torch
        from diffusers import AutoencoderKL

        try:
            self._vae = AutoencoderKL.from_pretrained(
                str(folder), torch_dtype=torch.float32, low_cpu_mem_usage=False
            ).eval()
        except (OSError, ValueError) as error:
            raise UserError(
                f"expected an AutoencoderKL with config.json and weights, found none that loads, in "
                f"{folder}: {first_line(error)}; fix: name the folder that training wrote"
            ) from error

    def __call__(self, picture: Picture) -> Picture:
        """Return what comes back of an sRGB picture, uint8 (side, side, 3); the side is divisible by 8."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            decoded = self._vae.decode(self._vae.encode(pixels).latent_dist.mode()).sample[0]
            values = (decoded / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        return np.ascontiguousarray(values.permute(1, 2, 0).numpy())


def folder_digest(folder: Path) -> str:
    """Return one sha256 over configuration and weights."""
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".safetensors"):
            total.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
