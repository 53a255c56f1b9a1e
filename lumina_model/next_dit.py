"""Unified Next-DiT, the transformer of Lumina-Image 2.0 (arXiv 2503.21758), in one file.

It predicts the velocity v = image - noise of a noisy latent at time t, where **t = 0 is noise and t = 1
is the image**. Text and image tokens form one sequence; all blocks see all of it, in both directions.

    caption features ─▶ cap embedder ─▶ context refiner ─┐
                                                          ├─▶ joint blocks ─▶ final layer ─▶ velocity
    noisy latent ─▶ patches ─▶ noise refiner ────────────┘

The left branch does not depend on t: `NextDiT.encode_context` runs it once per prompt for all steps.

Padding between a short text and its image is masked as attention key. This is the same function as the
official one, which packs [text ; image] per sample: attention does not know order, only rotary positions, and
those are given per sample. For sampling, `branches.py` runs the same layers over a row without padding.

Parameter names are those of diffusers' `Lumina2Transformer2DModel`; `official_names.py` has the map to the
official ones.

Shape legend: B batch, C latent channels, H W latent height and width, p patch size, R = H/p rows and
S = W/p columns of image tokens, I = R·S image tokens, T text tokens (padded), N = T + I,
D hidden size, F caption features, E = min(D, 1024) time embedding, A heads, K key-value heads, d = D/A.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import cast, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from lumina_model.config import CONFIGS as CONFIGS
from lumina_model.config import NextDiTConfig as NextDiTConfig
from lumina_model.errors import UserError
from lumina_model.linear import Linear
from lumina_model.packed_attention import attend
from lumina_model.rope import Rotation, image_rotation, join, rotate, text_rotation

TIME_FREQUENCIES = 128  # 256-wide sinusoid; official models/model.py, TimestepEmbedder
TIME_MAX_PERIOD = 10_000
FINAL_NORM_EPS = 1e-6  # official models/model.py, FinalLayer

Seen = Tensor | None
"""What a token sees: None all of its row; (B, N) the keys that are True; (Q,) its own one of the Q sequences
of these lengths, one after the other in a single row (`packed_attention.attend`)."""


class RMSNorm(nn.Module):
    """x / rms(x) · weight over the last axis, computed in float32; shape and dtype are kept.

    In bfloat16 the official norm rounds before it multiplies by the weight and once more after, ours once:
    the last bit of about a quarter of the values differs. In float32 both are the same.
    """

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


class TimeEmbedding(nn.Module):
    """t in [0, 1], fed raw and not times 1000, to a vector."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = Linear(2 * TIME_FREQUENCIES, dim)
        self.linear_2 = Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, E)."""
        index = torch.arange(TIME_FREQUENCIES, dtype=torch.float32, device=t.device)
        frequencies = torch.exp(-log(TIME_MAX_PERIOD) * index / TIME_FREQUENCIES)  # (128,)
        angles = t.float()[:, None] * frequencies  # (B, 128)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)  # (B, 256)
        return self.linear_2(F.silu(self.linear_1(waves.to(self.linear_1.weight.dtype))))  # (B, E)


class CaptionEmbedding(nn.Sequential):
    """Norm and linear map from caption features to the model's width: (B, T, F) -> (B, T, D)."""

    def __init__(self, config: NextDiTConfig):
        linear = Linear(config.cap_feat_dim, config.hidden_size)
        super().__init__(RMSNorm(config.cap_feat_dim, config.norm_eps), linear)

    @property
    def linear(self) -> Linear:
        """The linear map; in the checkpoint it has the number 1."""
        return cast(Linear, self[1])


class TimeCaptionEmbedding(nn.Module):
    """Holds the embeddings of the two conditions, time and caption."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.timestep_embedder = TimeEmbedding(config.time_dim)
        self.caption_embedder = CaptionEmbedding(config)


class Attention(nn.Module):
    """Grouped-query self-attention; queries and keys are normalised per head, then rotated."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.head_dim = config.head_dim
        self.group = config.num_attention_heads // config.num_kv_heads  # query heads per key-value head
        kv_dim = config.num_kv_heads * config.head_dim
        self.to_q = Linear(config.hidden_size, config.hidden_size, bias=False)
        self.to_k = Linear(config.hidden_size, kv_dim, bias=False)
        self.to_v = Linear(config.hidden_size, kv_dim, bias=False)
        self.norm_q = RMSNorm(config.head_dim, config.qk_norm_eps)
        self.norm_k = RMSNorm(config.head_dim, config.qk_norm_eps)
        self.to_out = nn.ModuleList([Linear(config.hidden_size, config.hidden_size, bias=False)])

    def forward(self, x: Tensor, rotation: Rotation, seen: Seen) -> Tensor:
        """(B, N, D) -> (B, N, D); seen: see `Seen`."""
        q = self.to_q(x).unflatten(-1, (-1, self.head_dim))  # (B, N, A, d)
        k = self.to_k(x).unflatten(-1, (-1, self.head_dim))  # (B, N, K, d)
        v = self.to_v(x).unflatten(-1, (-1, self.head_dim))  # (B, N, K, d)
        q = rotate(self.norm_q(q), rotation)  # (B, N, A, d)
        k = rotate(self.norm_k(k), rotation)  # (B, N, K, d)
        if self.group > 1:  # key-value head j serves query heads group·j … group·j + group - 1
            k = k.repeat_interleave(self.group, dim=2)  # (B, N, A, d)
            v = v.repeat_interleave(self.group, dim=2)  # (B, N, A, d)
        if seen is not None and seen.ndim == 1:
            return self.to_out[0](attend(q, k, v, seen).flatten(2))  # (1, N, D)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))  # (B, A, N, d)
        mask = None if seen is None else seen[:, None, None].bool()  # (B, 1, 1, N)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, A, N, d)
        return self.to_out[0](out.transpose(1, 2).flatten(2))  # (B, N, D)


class FeedForward(nn.Module):
    """SwiGLU: linear_2(silu(linear_1 x) · linear_3 x)."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear_1 = Linear(config.hidden_size, config.ffn_dim, bias=False)
        self.linear_2 = Linear(config.ffn_dim, config.hidden_size, bias=False)
        self.linear_3 = Linear(config.hidden_size, config.ffn_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return self.linear_2(F.silu(self.linear_1(x)) * self.linear_3(x))


class Modulation(nn.Module):
    """First norm of a modulated block, and the linear map from time to the block's scales and gates."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear = Linear(config.time_dim, 4 * config.hidden_size)
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)

    def forward(self, time: Tensor) -> tuple[Tensor, ...]:
        """Time (B, E) -> 1 + scale and tanh gate of attention, then of feed-forward, each (B, 1, D)."""
        scale_1, gate_1, scale_2, gate_2 = self.linear(F.silu(time))[:, None].chunk(4, dim=-1)  # (B, 1, D)
        return 1 + scale_1, gate_1.tanh(), 1 + scale_2, gate_2.tanh()


class RefinerBlock(nn.Module):
    """Unmodulated block of the context refiner. Sandwich norms: before and after each sub-layer."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.norm1 = RMSNorm(config.hidden_size, config.norm_eps)
        self.attn = Attention(config)
        self.norm2 = RMSNorm(config.hidden_size, config.norm_eps)
        self.ffn_norm1 = RMSNorm(config.hidden_size, config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.ffn_norm2 = RMSNorm(config.hidden_size, config.norm_eps)

    def forward(self, x: Tensor, rotation: Rotation, seen: Seen) -> Tensor:
        """(B, N, D) -> (B, N, D); seen: see `Seen`."""
        x = x + self.norm2(self.attn(self.norm1(x), rotation, seen))
        return x + self.ffn_norm2(self.feed_forward(self.ffn_norm1(x)))


class Block(nn.Module):
    """Block modulated by time: a scale after each first norm, a gate on each branch; no shift."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.norm1 = Modulation(config)
        self.attn = Attention(config)
        self.norm2 = RMSNorm(config.hidden_size, config.norm_eps)
        self.ffn_norm1 = RMSNorm(config.hidden_size, config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.ffn_norm2 = RMSNorm(config.hidden_size, config.norm_eps)

    def forward(self, x: Tensor, time: Tensor, rotation: Rotation, seen: Seen) -> Tensor:
        """x (B, N, D), time (B, E) -> (B, N, D); seen: see `Seen`."""
        scale_1, gate_1, scale_2, gate_2 = self.norm1(time)  # (B, 1, D) each
        x = x + gate_1 * self.norm2(self.attn(self.norm1.norm(x) * scale_1, rotation, seen))
        return x + gate_2 * self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * scale_2))


class FinalLayer(nn.Module):
    """Plain LayerNorm scaled by time, then one linear map to patch values."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear_1 = Linear(config.time_dim, config.hidden_size)
        self.linear_2 = Linear(config.hidden_size, config.patch_size**2 * config.in_channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, I, D), time (B, E) -> (B, I, p·p·C)."""
        scale = self.linear_1(F.silu(time))[:, None]  # (B, 1, D)
        normed = F.layer_norm(x.float(), x.shape[-1:], eps=FINAL_NORM_EPS).to(x.dtype)
        return self.linear_2(normed * (1 + scale))  # (B, I, p·p·C)


@dataclass(frozen=True)
class Context:
    """Refined captions: all that the joint blocks need to know of the text, the same at every t."""

    tokens: Tensor  # (B, T, D)
    mask: Tensor  # (B, T) bool, True on valid tokens, which come first


Blocks = Callable[["NextDiT", Tensor, Tensor, Rotation, Tensor], Tensor]
"""(model, tokens (1, N, D), time (1, E), rotation, lengths (Q,)) -> tokens, as `NextDiT.run_blocks`."""


class NextDiT(nn.Module):
    """Unified Next-DiT. A new one returns exactly 0 for every input, as the official initialisation does."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.config = config
        self.x_embedder = Linear(config.patch_size**2 * config.in_channels, config.hidden_size)
        self.time_caption_embed = TimeCaptionEmbedding(config)
        self.noise_refiner = nn.ModuleList(Block(config) for _ in range(config.num_refiner_layers))
        self.context_refiner = nn.ModuleList(RefinerBlock(config) for _ in range(config.num_refiner_layers))
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm_out = FinalLayer(config)
        self.reset_parameters()

    def encode_context(self, cap_feats: Tensor, cap_mask: Tensor) -> Context:
        """Embed and refine captions, once per prompt.

        Args:
            cap_feats: text encoder features (B, T, F).
            cap_mask: (B, T), non-zero on valid tokens. Padding is on the right, and at least one token is
                valid (an empty prompt still has its BOS). Taken on trust: a check waits for the device.
        """
        self._check_captions(cap_feats, cap_mask)
        mask = cap_mask.bool()
        tokens = self.time_caption_embed.caption_embedder(cap_feats)  # (B, T, D)
        rotation = self._text_rotation(tokens)
        for refiner in self.context_refiner:
            tokens = refiner(tokens, rotation, mask)
        return Context(tokens, mask)

    @overload
    def forward(
        self, x: Tensor, t: Tensor, cap_feats: Tensor | Context, cap_mask: Tensor | None = None
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Sequence[Tensor], t: Tensor, cap_feats: Tensor | Context, cap_mask: Tensor | None = None
    ) -> list[Tensor]: ...
    def forward(
        self, x: Tensor | Sequence[Tensor], t: Tensor, cap_feats: Tensor | Context,
        cap_mask: Tensor | None = None,
    ) -> Tensor | list[Tensor]:  # fmt: skip
        """Velocity image - noise at time t.

        Args:
            x: noisy latents (B, C, H, W), H and W divisible by the patch size; or a list of B latents
                (C, H, W) of any sizes, which give what each gives alone.
            t: times (B,) in [0, 1]; 0 is noise, 1 is the image.
            cap_feats: caption features (B, T, F), or the `Context` made of them.
            cap_mask: (B, T), needed with features only.

        Returns:
            As x: (B, C, H, W), or a list.
        """
        if isinstance(cap_feats, Context):
            context = cap_feats
        elif cap_mask is None:
            raise UserError("expected cap_mask with caption features, found None; fix: pass the mask")
        else:
            context = self.encode_context(cap_feats, cap_mask)
        self._check_latents(x, t, context)
        grids = [(y.shape[-2] // self.config.patch_size, y.shape[-1] // self.config.patch_size) for y in x]
        rotation = self._image_rotation(context, grids[:1] if isinstance(x, Tensor) else grids)

        time = self.time_caption_embed.timestep_embedder(t)  # (B, E)
        image_mask = None  # (B, I), where images differ in size
        if isinstance(x, Tensor):
            patches = self.patchify(x)  # (B, I, p·p·C)
        else:
            each = [self.patchify(y[None])[0] for y in x]
            patches = pad_sequence(each, batch_first=True)
            valid = [y.new_ones(len(y), dtype=torch.bool) for y in each]
            image_mask = pad_sequence(valid, batch_first=True)
        tokens = self.x_embedder(patches)  # (B, I, D)
        for refiner in self.noise_refiner:
            tokens = refiner(tokens, time, rotation, image_mask)

        text_length = context.tokens.shape[1]
        key_mask = context.mask.new_ones(tokens.shape[:2]) if image_mask is None else image_mask
        key_mask = torch.cat([context.mask, key_mask], dim=1)  # (B, N)
        rotation = join(self._text_rotation(context.tokens), rotation)
        tokens = torch.cat([context.tokens.to(tokens.dtype), tokens], dim=1)  # (B, N, D)
        tokens = self.run_blocks(tokens, time, rotation, key_mask)

        patches = self.norm_out(tokens[:, text_length:], time)  # (B, I, p·p·C)
        if isinstance(x, Tensor):
            return self.unpatchify(patches, *grids[0])  # (B, C, H, W)
        return [self.unpatchify(y[None, : r * s], r, s)[0] for y, (r, s) in zip(patches, grids, strict=True)]

    def run_blocks(self, tokens: Tensor, time: Tensor, rotation: Rotation, seen: Seen) -> Tensor:
        """All joint blocks: tokens (B, N, D), time (B, E) -> (B, N, D)."""
        for layer in self.layers:
            tokens = layer(tokens, time, rotation, seen)
        return tokens

    def patchify(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, I, p·p·C): tokens row by row, inside a patch the channel runs fastest."""
        p = self.config.patch_size
        x = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # (B, C, R, p, S, p)
        x = x.permute(0, 2, 4, 3, 5, 1)  # (B, R, S, p, p, C)
        return x.flatten(3).flatten(1, 2)  # (B, I, p·p·C)

    def unpatchify(self, patches: Tensor, rows: int, columns: int) -> Tensor:
        """(B, I, p·p·C) -> (B, C, H, W), the inverse of `patchify`."""
        p = self.config.patch_size
        x = patches.unflatten(2, (p, p, -1)).unflatten(1, (rows, columns))  # (B, R, S, p, p, C)
        x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, R, p, S, p)
        return x.flatten(4).flatten(2, 3)  # (B, C, H, W)

    def check_latent_shape(self, shape: Sequence[int]) -> None:
        """Refuse latents that the model does not take.

        Args:
            shape: of one sample, (C, H, W).

        Raises:
            UserError: not three numbers, other channels, sides that patches do not fill, too many tokens.
        """
        p, (_, max_rows, max_columns) = self.config.patch_size, self.config.axes_lens
        if len(shape) != 3 or shape[0] != self.config.in_channels or shape[1] % p or shape[2] % p:
            raise UserError(
                f"expected latents ({self.config.in_channels}, H, W), H and W divisible by {p}, found "
                f"{tuple(shape)}; fix: use image sides divisible by {p} times the autoencoder's factor"
            )
        if shape[1] // p > max_rows or shape[2] // p > max_columns:
            raise UserError(
                f"expected at most {max_rows} x {max_columns} image tokens, found "
                f"{shape[1] // p} x {shape[2] // p}; fix: ask for a smaller image"
            )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The official initialisation (models/model.py): every modulated block starts as the identity."""
        if self.x_embedder.weight.is_meta:
            return  # there are no values; torch would import its compiler, seconds, to draw none
        for module in self.modules():
            if isinstance(module, RMSNorm):
                nn.init.ones_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, TimeEmbedding):
                nn.init.normal_(module.linear_1.weight, std=0.02)
                nn.init.normal_(module.linear_2.weight, std=0.02)
            elif isinstance(module, Attention):  # officially one matrix, of whose size is the Xavier bound
                parts = [module.to_q.weight, module.to_k.weight, module.to_v.weight]
                bound = (6 / (self.config.hidden_size + sum(len(part) for part in parts))) ** 0.5
                for part in parts:
                    nn.init.uniform_(part, -bound, bound)
            elif isinstance(module, CaptionEmbedding):
                nn.init.trunc_normal_(module.linear.weight, std=0.02)
            elif isinstance(module, Modulation):
                nn.init.zeros_(module.linear.weight)
        nn.init.zeros_(self.norm_out.linear_1.weight)
        nn.init.zeros_(self.norm_out.linear_2.weight)

    def _image_rotation(self, context: Context, grids: Sequence[tuple[int, int]]) -> Rotation:
        """Rotation of the image tokens (B, I): of one grid for all, or of one for each, padded."""
        lengths, axes, theta = context.mask.sum(dim=1), self.config.axes_dim_rope, self.config.rope_theta
        if len(grids) == 1:
            return image_rotation(lengths, *grids[0], axes, theta)
        parts = [image_rotation(lengths[i : i + 1], *grid, axes, theta) for i, grid in enumerate(grids)]
        return pad_sequence([part[0] for part in parts], batch_first=True)

    def _text_rotation(self, tokens: Tensor) -> Rotation:
        return text_rotation(
            tokens.shape[1], self.config.axes_dim_rope, self.config.rope_theta, tokens.device
        )

    def _check_captions(self, cap_feats: Tensor, cap_mask: Tensor) -> None:
        if cap_feats.ndim != 3 or cap_feats.shape[2] != self.config.cap_feat_dim:
            raise UserError(
                f"expected caption features (B, T, {self.config.cap_feat_dim}), found "
                f"{tuple(cap_feats.shape)}; fix: use the text encoder that this model was trained with"
            )
        if cap_mask.shape != cap_feats.shape[:2]:
            raise UserError(
                f"expected a caption mask {tuple(cap_feats.shape[:2])}, found {tuple(cap_mask.shape)}; "
                "fix: pass the mask of these features"
            )
        if cap_feats.shape[1] >= self.config.axes_lens[0]:
            raise UserError(
                f"expected fewer than {self.config.axes_lens[0]} text tokens (axes_lens[0]), found "
                f"{cap_feats.shape[1]} with padding; fix: lower max_text_tokens"
            )

    def _check_latents(self, x: Tensor | Sequence[Tensor], t: Tensor, context: Context) -> None:
        if isinstance(x, Tensor) and x.ndim != 4:
            raise UserError(f"expected latents (B, C, H, W), found {tuple(x.shape)}; fix: their shape")
        for y in x[:1] if isinstance(x, Tensor) else x:  # (C, H, W): one stands for a batch of one size
            self.check_latent_shape(y.shape)
        if t.shape != (len(x),) or len(context.tokens) != len(x):
            raise UserError(
                f"expected one time and one caption per latent ({len(x)}), found times {tuple(t.shape)} and "
                f"{len(context.tokens)} captions; fix: give all three the same batch size"
            )
