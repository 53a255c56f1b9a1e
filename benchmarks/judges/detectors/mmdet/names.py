"""Which parameter of mmdet's Mask2Former is which of transformers' Mask2Former: a table, nothing else.

Names on the left are those of mmdet 2.x, config ``mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco``, read in
``mmdet/models`` of 2.28.2: ``backbones/swin.py``, ``plugins/msdeformattn_pixel_decoder.py`` and
``dense_heads/mask2former_head.py``. Names on the right are those of published transformers checkpoints
(``facebook/mask2former-swin-small-coco-instance``), which every version of transformers loads.

The two modules compute the same thing, with two differences in how parameters are laid out:

- mmdet keeps query, key and value of a self-attention in one matrix, transformers in three;
- mmdet's patch merging unfolds (all four pixels of a channel, then the next channel; pixels in reading
  order), transformers' concatenates (all channels of a pixel, then the next pixel; column by column).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: How a parameter changes on its way: not at all, cut into three equal parts along its first axis, or its
#: last axis brought from mmdet's order of patch merging into transformers'.
Change = Literal["same", "thirds", "merging"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One parameter of mmdet, and where it goes (three places where it is cut into thirds)."""

    source: str
    targets: tuple[str, ...]
    change: Change = "same"


_BACKBONE: Final = "model.pixel_level_module.encoder"
_PIXELS: Final = "model.pixel_level_module.decoder"
_QUERIES: Final = "model.transformer_module"
_HEAD: Final = "panoptic_head"

#: Modules that have a weight and a bias; {s}, {b} and {n} run over stages, blocks of a stage, and layers.
_WHOLE: Final = (
    ("backbone.patch_embed.projection", f"{_BACKBONE}.embeddings.patch_embeddings.projection"),
    ("backbone.patch_embed.norm", f"{_BACKBONE}.embeddings.norm"),
    (f"{_HEAD}.pixel_decoder.mask_feature", f"{_PIXELS}.mask_projection"),
    (f"{_HEAD}.transformer_decoder.post_norm", f"{_QUERIES}.decoder.layernorm"),
    (f"{_HEAD}.cls_embed", "class_predictor"),
    (f"{_HEAD}.mask_embed.0", f"{_QUERIES}.decoder.mask_predictor.mask_embedder.0.0"),
    (f"{_HEAD}.mask_embed.2", f"{_QUERIES}.decoder.mask_predictor.mask_embedder.1.0"),
    (f"{_HEAD}.mask_embed.4", f"{_QUERIES}.decoder.mask_predictor.mask_embedder.2.0"),
    (f"{_HEAD}.pixel_decoder.lateral_convs.0.gn", f"{_PIXELS}.adapter_1.1"),
    (f"{_HEAD}.pixel_decoder.output_convs.0.gn", f"{_PIXELS}.layer_1.1"),
)
#: Parameters without a second one beside them.
_SINGLE: Final = (
    (f"{_HEAD}.pixel_decoder.level_encoding.weight", f"{_PIXELS}.level_embed"),
    (f"{_HEAD}.pixel_decoder.lateral_convs.0.conv.weight", f"{_PIXELS}.adapter_1.0.weight"),
    (f"{_HEAD}.pixel_decoder.output_convs.0.conv.weight", f"{_PIXELS}.layer_1.0.weight"),
    (f"{_HEAD}.query_embed.weight", f"{_QUERIES}.queries_embedder.weight"),
    (f"{_HEAD}.query_feat.weight", f"{_QUERIES}.queries_features.weight"),
    (f"{_HEAD}.level_embed.weight", f"{_QUERIES}.level_embed.weight"),
)
_STAGE_IN: Final = "backbone.stages.{s}"
_STAGE_OUT: Final = f"{_BACKBONE}.encoder.layers.{{s}}"
_BLOCK_IN: Final = f"{_STAGE_IN}.blocks.{{b}}"
_BLOCK_OUT: Final = f"{_STAGE_OUT}.blocks.{{b}}"
_BLOCK: Final = (
    (f"{_BLOCK_IN}.norm1", f"{_BLOCK_OUT}.layernorm_before"),
    (f"{_BLOCK_IN}.attn.w_msa.proj", f"{_BLOCK_OUT}.attention.output.dense"),
    (f"{_BLOCK_IN}.norm2", f"{_BLOCK_OUT}.layernorm_after"),
    (f"{_BLOCK_IN}.ffn.layers.0.0", f"{_BLOCK_OUT}.intermediate.dense"),
    (f"{_BLOCK_IN}.ffn.layers.1", f"{_BLOCK_OUT}.output.dense"),
)
#: One per level of the pixel decoder's attention; both count from the lowest resolution.
_LEVEL: Final = (
    (f"{_HEAD}.pixel_decoder.input_convs.{{n}}.conv", f"{_PIXELS}.input_projections.{{n}}.0"),
    (f"{_HEAD}.pixel_decoder.input_convs.{{n}}.gn", f"{_PIXELS}.input_projections.{{n}}.1"),
)
_ENCODER_IN: Final = f"{_HEAD}.pixel_decoder.encoder.layers.{{n}}"
_ENCODER_OUT: Final = f"{_PIXELS}.encoder.layers.{{n}}"
_ENCODER: Final = (
    *(
        (f"{_ENCODER_IN}.attentions.0.{name}", f"{_ENCODER_OUT}.self_attn.{name}")
        for name in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    ),
    (f"{_ENCODER_IN}.norms.0", f"{_ENCODER_OUT}.self_attn_layer_norm"),
    (f"{_ENCODER_IN}.ffns.0.layers.0.0", f"{_ENCODER_OUT}.fc1"),
    (f"{_ENCODER_IN}.ffns.0.layers.1", f"{_ENCODER_OUT}.fc2"),
    (f"{_ENCODER_IN}.norms.1", f"{_ENCODER_OUT}.final_layer_norm"),
)
#: A decoder layer attends to the image first, then to the other queries (``operation_order`` of the config).
_DECODER_IN: Final = f"{_HEAD}.transformer_decoder.layers.{{n}}"
_DECODER_OUT: Final = f"{_QUERIES}.decoder.layers.{{n}}"
_DECODER: Final = (
    (f"{_DECODER_IN}.attentions.0.attn.out_proj", f"{_DECODER_OUT}.cross_attn.out_proj"),
    (f"{_DECODER_IN}.norms.0", f"{_DECODER_OUT}.cross_attn_layer_norm"),
    (f"{_DECODER_IN}.attentions.1.attn.out_proj", f"{_DECODER_OUT}.self_attn.out_proj"),
    (f"{_DECODER_IN}.norms.1", f"{_DECODER_OUT}.self_attn_layer_norm"),
    (f"{_DECODER_IN}.ffns.0.layers.0.0", f"{_DECODER_OUT}.fc1"),
    (f"{_DECODER_IN}.ffns.0.layers.1", f"{_DECODER_OUT}.fc2"),
    (f"{_DECODER_IN}.norms.2", f"{_DECODER_OUT}.final_layer_norm"),
)
_ENDS: Final = ("weight", "bias")
_LEVELS: Final = 3

#: Buffers in mmdet's file that are computed anew; transformers computes the same table.
COMPUTED: Final = "relative_position_index"

#: Parameters that transformers builds and that take no part in the result: mmdet has none of them.
UNUSED: Final = ("swin.layernorm.weight", "swin.layernorm.bias", "criterion.empty_weight")


def pairs(depths: Sequence[int], encoder_layers: int, decoder_layers: int) -> list[Pair]:
    """Return the whole table, for a backbone of ``depths`` blocks a stage and so many layers of each kind."""
    found = [Pair(source, (target,)) for source, target in _SINGLE]
    modules = list(_WHOLE)
    for stage, depth in enumerate(depths):
        modules.append((f"backbone.norm{stage}", f"{_BACKBONE}.hidden_states_norms.stage{stage + 1}"))
        for block in range(depth):
            modules += [(a.format(s=stage, b=block), b.format(s=stage, b=block)) for a, b in _BLOCK]
            found += _attention(_BLOCK_IN.format(s=stage, b=block), _BLOCK_OUT.format(s=stage, b=block))
        if stage + 1 < len(depths):
            found += [
                Pair(
                    f"{_STAGE_IN}.downsample.{name}".format(s=stage),
                    (f"{_STAGE_OUT}.downsample.{name}".format(s=stage),),
                    "merging",
                )
                for name in ("norm.weight", "norm.bias", "reduction.weight")
            ]
    for table, count in ((_LEVEL, _LEVELS), (_ENCODER, encoder_layers), (_DECODER, decoder_layers)):
        modules += [(a.format(n=layer), b.format(n=layer)) for layer in range(count) for a, b in table]
    for layer in range(decoder_layers):
        found += _in_projections(_DECODER_IN.format(n=layer), _DECODER_OUT.format(n=layer))
    return found + [Pair(f"{a}.{end}", (f"{b}.{end}",)) for a, b in modules for end in _ENDS]


def _attention(source: str, target: str) -> list[Pair]:
    """Return the pairs of a window attention that are not plain modules."""
    name = "relative_position_bias_table"
    table = Pair(f"{source}.attn.w_msa.{name}", (f"{target}.attention.self.{name}",))
    thirds = [
        Pair(
            f"{source}.attn.w_msa.qkv.{end}",
            tuple(f"{target}.attention.self.{part}.{end}" for part in ("query", "key", "value")),
            "thirds",
        )
        for end in _ENDS
    ]
    return [table, *thirds]


def _in_projections(source: str, target: str) -> list[Pair]:
    """Return the input projections of a decoder layer: one matrix across, three within."""
    found = []
    for end in _ENDS:
        found.append(
            Pair(f"{source}.attentions.0.attn.in_proj_{end}", (f"{target}.cross_attn.in_proj_{end}",))
        )
        parts = tuple(f"{target}.self_attn.{part}_proj.{end}" for part in ("q", "k", "v"))
        found.append(Pair(f"{source}.attentions.1.attn.in_proj_{end}", parts, "thirds"))
    return found
