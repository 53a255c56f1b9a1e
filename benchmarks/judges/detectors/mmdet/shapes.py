"""The shape of every parameter in mmdet's file, from the numbers of its config.

As mmdet 2.28.2 builds them (``backbones/swin.py``, ``plugins/msdeformattn_pixel_decoder.py``,
``dense_heads/mask2former_head.py``), so that a file of another architecture is told before it is converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.judges.detectors.coco import COCO

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

_HEAD: Final = "panoptic_head"
#: Levels of the pixel decoder, and points that each attention head looks at on each of them.
_LEVELS: Final = 3
_POINTS: Final = 4
#: Side of a patch, in pixels.
_PATCH: Final = 4


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of a config; the defaults are ``mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco``."""

    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    embed_dim: int = 96
    window: int = 7
    mlp_ratio: int = 4
    channels: int = 256
    attention_heads: int = 8
    encoder_layers: int = 6
    encoder_feedforward: int = 1024
    decoder_layers: int = 9
    decoder_feedforward: int = 2048
    queries: int = 100
    classes: tuple[str, ...] = COCO


def mmdet_shapes(numbers: Architecture) -> Shapes:
    """Return name to shape for the whole detector, without the buffers that are computed."""
    widths = [numbers.embed_dim * 2**stage for stage in range(len(numbers.depths))]
    return {
        **_linear("backbone.patch_embed.projection", numbers.embed_dim, 3, _PATCH, _PATCH),
        **_norm("backbone.patch_embed.norm", numbers.embed_dim),
        **_stages(numbers, widths),
        **_pixel_decoder(numbers, widths),
        **_transformer_decoder(numbers),
        **_predictions(numbers),
    }


def _stages(numbers: Architecture, widths: list[int]) -> Shapes:
    found: Shapes = {}
    for stage, (depth, heads, width) in enumerate(zip(numbers.depths, numbers.heads, widths, strict=True)):
        for block in range(depth):
            name = f"backbone.stages.{stage}.blocks.{block}"
            attention = f"{name}.attn.w_msa"
            found |= _norm(f"{name}.norm1", width) | _norm(f"{name}.norm2", width)
            found[f"{attention}.relative_position_bias_table"] = ((2 * numbers.window - 1) ** 2, heads)
            found |= _linear(f"{attention}.qkv", 3 * width, width)
            found |= _linear(f"{attention}.proj", width, width)
            found |= _feedforward(f"{name}.ffn", width, numbers.mlp_ratio * width)
        found |= _norm(f"backbone.norm{stage}", width)
        if stage + 1 < len(widths):
            found |= _norm(f"backbone.stages.{stage}.downsample.norm", 4 * width)
            found[f"backbone.stages.{stage}.downsample.reduction.weight"] = (2 * width, 4 * width)
    return found


def _pixel_decoder(numbers: Architecture, widths: list[int]) -> Shapes:
    name, channels = f"{_HEAD}.pixel_decoder", numbers.channels
    found: Shapes = {f"{name}.level_encoding.weight": (_LEVELS, channels)}
    for level, width in enumerate(widths[: -_LEVELS - 1 : -1]):
        found |= _linear(f"{name}.input_convs.{level}.conv", channels, width, 1, 1)
        found |= _norm(f"{name}.input_convs.{level}.gn", channels)
    for kind, width, side in (("lateral", widths[0], 1), ("output", channels, 3)):
        found[f"{name}.{kind}_convs.0.conv.weight"] = (channels, width, side, side)
        found |= _norm(f"{name}.{kind}_convs.0.gn", channels)
    looks = numbers.attention_heads * _LEVELS * _POINTS
    for layer in range(numbers.encoder_layers):
        layer_name = f"{name}.encoder.layers.{layer}"
        attention = f"{layer_name}.attentions.0"
        found |= _linear(f"{attention}.sampling_offsets", 2 * looks, channels)
        found |= _linear(f"{attention}.attention_weights", looks, channels)
        found |= _linear(f"{attention}.value_proj", channels, channels)
        found |= _linear(f"{attention}.output_proj", channels, channels)
        found |= _feedforward(f"{layer_name}.ffns.0", channels, numbers.encoder_feedforward)
        found |= _norm(f"{layer_name}.norms.0", channels) | _norm(f"{layer_name}.norms.1", channels)
    return found | _linear(f"{name}.mask_feature", channels, channels, 1, 1)


def _transformer_decoder(numbers: Architecture) -> Shapes:
    found: Shapes = {}
    for layer in range(numbers.decoder_layers):
        name = f"{_HEAD}.transformer_decoder.layers.{layer}"
        for place in (0, 1):
            attention = f"{name}.attentions.{place}.attn"
            found[f"{attention}.in_proj_weight"] = (3 * numbers.channels, numbers.channels)
            found[f"{attention}.in_proj_bias"] = (3 * numbers.channels,)
            found |= _linear(f"{attention}.out_proj", numbers.channels, numbers.channels)
        found |= _feedforward(f"{name}.ffns.0", numbers.channels, numbers.decoder_feedforward)
        for place in (0, 1, 2):
            found |= _norm(f"{name}.norms.{place}", numbers.channels)
    return found | _norm(f"{_HEAD}.transformer_decoder.post_norm", numbers.channels)


def _predictions(numbers: Architecture) -> Shapes:
    channels = numbers.channels
    found: Shapes = {
        f"{_HEAD}.query_embed.weight": (numbers.queries, channels),
        f"{_HEAD}.query_feat.weight": (numbers.queries, channels),
        f"{_HEAD}.level_embed.weight": (_LEVELS, channels),
    }
    found |= _linear(f"{_HEAD}.cls_embed", len(numbers.classes) + 1, channels)
    for place in (0, 2, 4):
        found |= _linear(f"{_HEAD}.mask_embed.{place}", channels, channels)
    return found


def _linear(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name: str, width: int) -> Shapes:
    return _linear(name, width)


def _feedforward(name: str, width: int, hidden: int) -> Shapes:
    return _linear(f"{name}.layers.0.0", hidden, width) | _linear(f"{name}.layers.1", width, hidden)
