"""Which parameter of the official BLIP_VQA is which of transformers' BLIP: a table, nothing else.

Names on the left are those of ``vit.py``, ``med.py`` and ``blip_vqa.py`` in ``BLIPvqa_eval/models`` of
Karine-Huang/T2I-CompBench at 1b709499, which are those of salesforce/BLIP. Both modules keep every parameter
in the same layout, also query, key and value of the vision tower in one matrix.
"""

from __future__ import annotations

from typing import Final

_ENDS: Final = ("weight", "bias")

#: Parameters without a second one beside them.
_SINGLE: Final = (
    ("visual_encoder.cls_token", "vision_model.embeddings.class_embedding"),
    ("visual_encoder.pos_embed", "vision_model.embeddings.position_embedding"),
    *(
        (f"{text}.embeddings.{name}.weight",) * 2
        for text in ("text_encoder", "text_decoder.bert")
        for name in ("word_embeddings", "position_embeddings")
    ),
    ("text_decoder.cls.predictions.bias",) * 2,
)
#: Modules that have a weight and a bias.
_WHOLE: Final = (
    ("visual_encoder.patch_embed.proj", "vision_model.embeddings.patch_embedding"),
    ("visual_encoder.norm", "vision_model.post_layernorm"),
    ("text_encoder.embeddings.LayerNorm",) * 2,
    ("text_decoder.bert.embeddings.LayerNorm",) * 2,
    *((f"text_decoder.cls.predictions.{name}",) * 2 for name in (
        "transform.dense", "transform.LayerNorm", "decoder",
    )),
)  # fmt: skip
#: Of a block of the vision tower.
_VISION: Final = (
    ("norm1", "layer_norm1"),
    ("attn.qkv", "self_attn.qkv"),
    ("attn.proj", "self_attn.projection"),
    ("norm2", "layer_norm2"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
)
#: Of a layer of the text encoder and of the decoder; both call them alike.
_TEXT: Final = (
    *(
        f"{attention}.{name}"
        for attention in ("attention", "crossattention")
        for name in ("self.query", "self.key", "self.value", "output.dense", "output.LayerNorm")
    ),
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)

#: Buffers in the file that both modules count anew.
COMPUTED: Final = "embeddings.position_ids"


def names(vision_layers: int, text_layers: int) -> dict[str, str]:
    """Return the whole table, official name to transformers' name, for so many layers of each tower."""
    modules = list(_WHOLE)
    for layer in range(vision_layers):
        source, target = f"visual_encoder.blocks.{layer}", f"vision_model.encoder.layers.{layer}"
        modules += [(f"{source}.{a}", f"{target}.{b}") for a, b in _VISION]
    for text in ("text_encoder", "text_decoder.bert"):
        modules += [
            (f"{text}.encoder.layer.{layer}.{name}",) * 2 for layer in range(text_layers) for name in _TEXT
        ]
    return dict(_SINGLE) | {f"{a}.{end}": f"{b}.{end}" for a, b in modules for end in _ENDS}
