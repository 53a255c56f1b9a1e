"""Images to normalised latents and back, with the FLUX.1-style autoencoder (8x smaller, 16 channels)."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from lumina_model.errors import UserError

#: Pixels decoded at once. On a CPU so many stay in its caches, and a batch is decoded faster than whole
#: (``python -m benchmarks.efficiency.decoder``). An accelerator is full with one large image, and more of
#: them would take memory from the batch that is drawn beside.
AT_ONCE: Final = {"cpu": 2**16}
AT_ONCE_ELSEWHERE: Final = 2**20
#: Longest side in pixels of an image that is decoded whole, and side of the tiles of larger ones, which is
#: that of the images that the autoencoder was trained on.
LARGEST_WHOLE: Final = 2048
TILE: Final = 1024


def autoencoder_factor(block_out_channels: Sequence[int]) -> int:
    """Pixels per latent, each way: every level but the last halves the image."""
    return 2 ** (len(block_out_channels) - 1)


class Autoencoder:
    """Thin wrapper of diffusers' `AutoencoderKL` that knows shift and scale of the latents.

    latents = (encoder mode - shift) · scale, as in the official code: the mode, never a sample.
    """

    def __init__(self, vae: Any):
        self.vae = vae.eval()
        self.scale = float(vae.config.scaling_factor)
        self.shift = float(vae.config.shift_factor or 0.0)
        self.factor = autoencoder_factor(vae.config.block_out_channels)
        self.channels = int(vae.config.latent_channels)
        self.largest_whole = LARGEST_WHOLE
        """Longest side in pixels of what is decoded whole; it changes pixels."""
        self.tile = TILE
        """Side in pixels of the tiles of all else."""

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] -> normalised latents (B, C, H/factor, W/factor) in float32."""
        if (
            images.ndim != 4
            or images.shape[1] != 3
            or images.shape[2] % self.factor
            or images.shape[3] % self.factor
        ):
            raise UserError(
                f"expected images (B, 3, H, W) with sides divisible by {self.factor}, found "
                f"{tuple(images.shape)}; fix: resize or crop them"
            )
        mode = self.vae.encode(images.to(self.vae.device, self.vae.dtype)).latent_dist.mode()  # (B, C, h, w)
        return (mode.float() - self.shift) * self.scale

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, C, h, w) -> images (B, h·factor, w·factor, 3), uint8 on the CPU.

        Some at a time, whatever B is; what does not fit in the device's memory in halves.
        """
        pixels = latents.shape[2] * latents.shape[3] * self.factor**2  # of one image
        at_once = AT_ONCE.get(self.vae.device.type, AT_ONCE_ELSEWHERE)
        parts = [self._within_memory(part) for part in latents.split(max(1, at_once // pixels))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)  # (B, H, W, 3)

    def _within_memory(self, latents: Tensor) -> Tensor:
        try:
            return self._decoded(latents)
        except torch.OutOfMemoryError:
            if self.vae.device.type != "cuda" and len(latents) == 1:
                raise
        # Out of the handler, which would keep what did not fit.
        if self.vae.device.type == "cuda":  # the batch that is drawn beside may be what is in the way
            torch.cuda.synchronize(self.vae.device)
            torch.cuda.empty_cache()
        if len(latents) == 1:
            return self._decoded(latents)
        return torch.cat([self._within_memory(part) for part in latents.chunk(2)])

    def _decoded(self, latents: Tensor) -> Tensor:
        pixels = self.decode_values(latents)  # (B, 3, H, W)
        pixels = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round()
        return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()  # (B, H, W, 3)

    def decode_values(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, C, h, w) -> float32 values (B, 3, H, W), about [-1, 1], with gradient.

        Images with a side above `largest_whole` in overlapping tiles (diffusers does it), whose seams differ
        a little from the whole.
        """
        z = (latents.float() / self.scale + self.shift).to(self.vae.device, self.vae.dtype)
        if max(latents.shape[2:]) * self.factor <= self.largest_whole:
            return self.vae.decode(z, return_dict=False)[0].float()
        self.vae.tile_sample_min_size = self.tile
        self.vae.tile_latent_min_size = self.tile // self.factor
        return self.vae.tiled_decode(z, return_dict=False)[0].float()
