"""Images to normalised latents and back, with the FLUX.1-style autoencoder (8x smaller, 16 channels)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lumina_model.errors import UserError


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
        """Normalised latents (B, C, h, w) -> images (B, h·factor, w·factor, 3), uint8 on the CPU."""
        pixels = self.decode_values(latents)  # (B, 3, H, W)
        pixels = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round()
        return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()  # (B, H, W, 3)

    def decode_values(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, C, h, w) -> float32 values (B, 3, H, W), about [-1, 1], with gradient."""
        z = latents.float() / self.scale + self.shift
        return self.vae.decode(z.to(self.vae.device, self.vae.dtype), return_dict=False)[0].float()
