"""Unified Next-DiT, the transformer of Lumina-Image 2.0 (arXiv 2503.21758), in one file.

It predicts the velocity v = image - noise of a noisy latent at time t, where **t = 0 is noise and t = 1
is the image**. Text and image tokens form one sequence; all blocks see all of it, in both directions.

    caption features ─▶ cap embedder ─▶ context refiner ─┐
                                                          ├─▶ joint blocks ─▶ final layer ─▶ velocity
    noisy latent ─▶ patches ─▶ noise refiner ────────────┘

The left branch does not depend on t: `NextDiT.encode_context` runs it once per prompt for all steps.

Padding stays where it is, between a short text and its image, and is masked as attention key. This is
the same function as the official one, which cuts padding out and packs [text ; image] per sample: attention
does not know order, only rotary positions, and those are given per sample. It needs no repacking and no
wait for the device to tell how long the texts are.

Parameter names are those of diffusers' `Lumina2Transformer2DModel`; `checkpoint.py` has the map to the
official names.

Shape legend: B batch, C latent channels, H W latent height and width, p patch size, R = H/p rows and
S = W/p columns of image tokens, I = R·S image tokens, T text tokens (padded), N = T + I,
D hidden size, F caption features, E = min(D, 1024) time embedding, A heads, K key-value heads, d = D/A.
"""

from dataclasses import dataclass, fields
from math import ceil, log
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumina_model.errors import UserError
from lumina_model.rope import Rotation, image_rotation, join, rotate, text_rotation

TIME_FREQUENCIES = 128  # 256-wide sinusoid; official models/model.py, TimestepEmbedder
TIME_MAX_PERIOD = 10_000
FINAL_NORM_EPS = 1e-6  # official models/model.py, FinalLayer


@dataclass(frozen=True)
class NextDiTConfig:
    """Sizes of a Unified Next-DiT; the defaults are the released 2.6B model.

    `qk_norm_eps` is 1e-5 in diffusers and 1e-6 in the official code: the reader of a format sets it.
    `axes_lens` bounds positions: texts shorter than axes_lens[0] tokens, grids up to the other two.
    """

    patch_size: int = 2
    in_channels: int = 16
    hidden_size: int = 2304
    num_layers: int = 26
    num_refiner_layers: int = 2
    num_attention_heads: int = 24
    num_kv_heads: int = 8
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    norm_eps: float = 1e-5
    qk_norm_eps: float = 1e-5
    axes_dim_rope: tuple[int, int, int] = (32, 32, 32)
    axes_lens: tuple[int, int, int] = (300, 512, 512)
    cap_feat_dim: int = 2304
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes_dim_rope", tuple(self.axes_dim_rope))
        object.__setattr__(self, "axes_lens", tuple(self.axes_lens))
        for name, value in [(f.name, getattr(self, f.name)) for f in fields(self) if f.type is int]:
            least = 0 if name == "num_refiner_layers" else 1
            self._expect(isinstance(value, int) and value >= least, name, f"an int >= {least}")
        heads, kv_heads, axes = self.num_attention_heads, self.num_kv_heads, self.axes_dim_rope
        self._expect(self.hidden_size % heads == 0, "hidden_size", f"a multiple of {heads} heads")
        self._expect(
            heads % kv_heads == 0, "num_attention_heads", f"a multiple of {kv_heads} key-value heads"
        )
        even = len(axes) == 3 and all(d >= 2 and d % 2 == 0 for d in axes)
        self._expect(
            even and sum(axes) == self.head_dim, "axes_dim_rope", f"three even numbers of sum {self.head_dim}"
        )
        self._expect(len(self.axes_lens) == 3 and min(self.axes_lens) >= 2, "axes_lens", "three numbers >= 2")
        self._expect(
            self.ffn_dim_multiplier is None or self.ffn_dim_multiplier > 0,
            "ffn_dim_multiplier",
            "null or > 0",
        )
        for name in ("norm_eps", "qk_norm_eps", "rope_theta"):
            self._expect(getattr(self, name) > 0, name, "a number > 0")

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head (d)."""
        return self.hidden_size // self.num_attention_heads

    @property
    def time_dim(self) -> int:
        """Width of the time embedding (E)."""
        return min(self.hidden_size, 1024)

    @property
    def ffn_dim(self) -> int:
        """Inner width of the feed-forward: 4·D, not the usual 2/3 of it, rounded up to `multiple_of`."""
        width = 4 * self.hidden_size
        if self.ffn_dim_multiplier is not None:
            width = int(self.ffn_dim_multiplier * width)
        return self.multiple_of * ceil(width / self.multiple_of)

    def _expect(self, condition: bool, name: str, expected: str) -> None:
        if not condition:
            found = getattr(self, name)
            raise UserError(
                f"expected {name} to be {expected}, found {found!r}, in NextDiTConfig; fix: {name}"
            )


# The official factories (models/model.py); only the 2.6B has released weights.
CONFIGS: dict[str, NextDiTConfig] = {
    "2.6B": NextDiTConfig(),
    "3B": NextDiTConfig(hidden_size=2592, num_layers=30, axes_dim_rope=(36, 36, 36)),
    "4B": NextDiTConfig(hidden_size=2880, num_layers=32, axes_dim_rope=(40, 40, 40)),
    "7B": NextDiTConfig(hidden_size=3840, num_layers=32, num_attention_heads=32, axes_dim_rope=(40, 40, 40)),
}


class RMSNorm(nn.Module):
    """x / rms(x) · weight over the last axis, computed in float32; shape and dtype are kept."""

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
        self.linear_1 = nn.Linear(2 * TIME_FREQUENCIES, dim)
        self.linear_2 = nn.Linear(dim, dim)

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
        linear = nn.Linear(config.cap_feat_dim, config.hidden_size)
        super().__init__(RMSNorm(config.cap_feat_dim, config.norm_eps), linear)

    @property
    def linear(self) -> nn.Linear:
        """The linear map; in the checkpoint it has the number 1."""
        return cast(nn.Linear, self[1])


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
        self.to_q = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.to_k = nn.Linear(config.hidden_size, kv_dim, bias=False)
        self.to_v = nn.Linear(config.hidden_size, kv_dim, bias=False)
        self.norm_q = RMSNorm(config.head_dim, config.qk_norm_eps)
        self.norm_k = RMSNorm(config.head_dim, config.qk_norm_eps)
        self.to_out = nn.ModuleList([nn.Linear(config.hidden_size, config.hidden_size, bias=False)])

    def forward(self, x: Tensor, rotation: Rotation, key_mask: Tensor | None) -> Tensor:
        """x (B, N, D), key_mask (B, N) bool with True where a key may be seen, None for all -> (B, N, D)."""
        q = self.to_q(x).unflatten(-1, (-1, self.head_dim))  # (B, N, A, d)
        k = self.to_k(x).unflatten(-1, (-1, self.head_dim))  # (B, N, K, d)
        v = self.to_v(x).unflatten(-1, (-1, self.head_dim))  # (B, N, K, d)
        q = rotate(self.norm_q(q), rotation)
        k = rotate(self.norm_k(k), rotation)
        if self.group > 1:  # key-value head j serves query heads group·j … group·j + group - 1
            k = k.repeat_interleave(self.group, dim=2)  # (B, N, A, d)
            v = v.repeat_interleave(self.group, dim=2)  # (B, N, A, d)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))  # (B, A, N, d)
        mask = None if key_mask is None else key_mask[:, None, None]  # (B, 1, 1, N)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, A, N, d)
        return self.to_out[0](out.transpose(1, 2).flatten(2))  # (B, N, D)


class FeedForward(nn.Module):
    """SwiGLU: linear_2(silu(linear_1 x) · linear_3 x)."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear_1 = nn.Linear(config.hidden_size, config.ffn_dim, bias=False)
        self.linear_2 = nn.Linear(config.ffn_dim, config.hidden_size, bias=False)
        self.linear_3 = nn.Linear(config.hidden_size, config.ffn_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return self.linear_2(F.silu(self.linear_1(x)) * self.linear_3(x))


class Modulation(nn.Module):
    """First norm of a modulated block, and the linear map from time to the block's scales and gates."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear = nn.Linear(config.time_dim, 4 * config.hidden_size)
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

    def forward(self, x: Tensor, rotation: Rotation, key_mask: Tensor | None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.norm2(self.attn(self.norm1(x), rotation, key_mask))
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

    def forward(self, x: Tensor, time: Tensor, rotation: Rotation, key_mask: Tensor | None) -> Tensor:
        """x (B, N, D), time (B, E) -> (B, N, D)."""
        scale_1, gate_1, scale_2, gate_2 = self.norm1(time)  # (B, 1, D) each
        x = x + gate_1 * self.norm2(self.attn(self.norm1.norm(x) * scale_1, rotation, key_mask))
        return x + gate_2 * self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * scale_2))


class FinalLayer(nn.Module):
    """Plain LayerNorm scaled by time, then one linear map to patch values."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.linear_1 = nn.Linear(config.time_dim, config.hidden_size)
        self.linear_2 = nn.Linear(config.hidden_size, config.patch_size**2 * config.in_channels)

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

    def __add__(self, other: "Context") -> "Context":
        """The batch of self followed by the batch of other; both padded to the same T."""
        return Context(torch.cat([self.tokens, other.tokens]), torch.cat([self.mask, other.mask]))


class NextDiT(nn.Module):
    """Unified Next-DiT. A new one returns exactly 0 for every input, as the official initialisation does."""

    def __init__(self, config: NextDiTConfig):
        super().__init__()
        self.config = config
        self.x_embedder = nn.Linear(config.patch_size**2 * config.in_channels, config.hidden_size)
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
                valid (an empty prompt still has its BOS). Both are taken on trust: checking would make
                the host wait for the device.
        """
        self._check_captions(cap_feats, cap_mask)
        mask = cap_mask.bool()
        tokens = self.time_caption_embed.caption_embedder(cap_feats)  # (B, T, D)
        rotation = self._text_rotation(tokens)
        for refiner in self.context_refiner:
            tokens = refiner(tokens, rotation, mask)
        return Context(tokens, mask)

    def forward(
        self, x: Tensor, t: Tensor, cap_feats: Tensor | Context, cap_mask: Tensor | None = None
    ) -> Tensor:
        """Velocity image - noise at time t.

        Args:
            x: noisy latents (B, C, H, W), H and W divisible by the patch size.
            t: times (B,) in [0, 1]; 0 is noise, 1 is the image.
            cap_feats: caption features (B, T, F), or the `Context` made of them.
            cap_mask: (B, T), needed with features only.

        Returns:
            (B, C, H, W).
        """
        if isinstance(cap_feats, Context):
            context = cap_feats
        elif cap_mask is None:
            raise UserError("expected cap_mask with caption features, found None; fix: pass the mask")
        else:
            context = self.encode_context(cap_feats, cap_mask)
        self._check_latents(x, t, context)
        height, width = x.shape[-2:]
        rows, columns = height // self.config.patch_size, width // self.config.patch_size

        time = self.time_caption_embed.timestep_embedder(t)  # (B, E)
        image_rotary = image_rotation(
            context.mask.sum(dim=1), rows, columns, self.config.axes_dim_rope, self.config.rope_theta
        )

        tokens = self.x_embedder(self.patchify(x))  # (B, I, D)
        for refiner in self.noise_refiner:
            tokens = refiner(tokens, time, image_rotary, None)

        text_length = context.tokens.shape[1]
        rotation = join(self._text_rotation(context.tokens), image_rotary)
        key_mask = F.pad(context.mask, (0, tokens.shape[1]), value=True)  # (B, N)
        tokens = torch.cat([context.tokens.to(tokens.dtype), tokens], dim=1)  # (B, N, D)
        for layer in self.layers:
            tokens = layer(tokens, time, rotation, key_mask)

        patches = self.norm_out(tokens[:, text_length:], time)  # (B, I, p·p·C)
        return self.unpatchify(patches, rows, columns)  # (B, C, H, W)

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

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The official initialisation (models/model.py): every modulated block starts as the identity."""
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
            elif isinstance(module, CaptionEmbedding):
                nn.init.trunc_normal_(module.linear.weight, std=0.02)
            elif isinstance(module, Modulation):
                nn.init.zeros_(module.linear.weight)
        nn.init.zeros_(self.norm_out.linear_1.weight)
        nn.init.zeros_(self.norm_out.linear_2.weight)

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

    def _check_latents(self, x: Tensor, t: Tensor, context: Context) -> None:
        p, (_, max_rows, max_columns) = self.config.patch_size, self.config.axes_lens
        if x.ndim != 4 or x.shape[1] != self.config.in_channels or x.shape[2] % p or x.shape[3] % p:
            raise UserError(
                f"expected latents (B, {self.config.in_channels}, H, W) with H and W divisible by {p}, found "
                f"{tuple(x.shape)}; fix: use image sides divisible by {p} times the autoencoder's factor"
            )
        if x.shape[2] // p > max_rows or x.shape[3] // p > max_columns:
            raise UserError(
                f"expected at most {max_rows} x {max_columns} image tokens, found "
                f"{x.shape[2] // p} x {x.shape[3] // p}; fix: ask for a smaller image"
            )
        if t.shape != x.shape[:1] or len(context.tokens) != len(x):
            raise UserError(
                f"expected one time and one caption per latent ({len(x)}), found times {tuple(t.shape)} and "
                f"{len(context.tokens)} captions; fix: give all three the same batch size"
            )
