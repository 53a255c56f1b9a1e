"""Folders of tiny models with random weights, of the true architectures: CLIP, DPT-Hybrid, DETR."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

#: OpenAI's CLIP but for its size.
CLIP = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def clip_folder(folder: Path, **vision: int) -> Path:
    """Write a CLIP in the form that open_clip reads from a folder; ``vision`` changes its image tower."""
    import open_clip

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    architecture = {**CLIP, "vision_cfg": {**CLIP["vision_cfg"], **vision}}  # type: ignore[dict-item]
    model = open_clip.CLIP(
        **{**architecture, "vision_cfg": dict(architecture["vision_cfg"]), "text_cfg": dict(CLIP["text_cfg"])}
    )
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def dpt_folder(folder: Path) -> Path:
    """Write a DPT-Hybrid: a convolutional backbone (BiT) under a transformer, for 64 pixels."""
    from transformers import BitConfig, DPTConfig, DPTForDepthEstimation

    torch.manual_seed(1)
    backbone = BitConfig(
        global_padding="same", layer_type="bottleneck", depths=[1, 1, 1], hidden_sizes=[8, 16, 32],
        embedding_size=8, num_groups=4, out_features=["stage1", "stage2", "stage3"],
        embedding_dynamic_padding=True,
    )  # fmt: skip
    config = DPTConfig(
        is_hybrid=True, backbone_config=backbone, backbone_featmap_shape=[1, 32, 4, 4], image_size=64,
        patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 16, 16, 16], neck_ignore_stages=[0, 1],
        reassemble_factors=[1, 1, 1, 0.5], readout_type="project", fusion_hidden_size=16,
    )  # fmt: skip
    model = DPTForDepthEstimation(config)
    model.save_pretrained(folder)
    return folder


def detr_folder(folder: Path, labels: Sequence[str]) -> Path:
    """Write a DETR over a small ResNet, with its image processor; its queries find different things."""
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    torch.manual_seed(2)
    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"])
    config = DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone,
        num_queries=6, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, auxiliary_loss=False, init_std=0.4,
        id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)},
    )  # fmt: skip
    model = DetrForObjectDetection(config)
    with torch.no_grad():
        model.model.query_position_embeddings.weight.normal_()
        model.class_labels_classifier.weight.normal_(0, 0.3)
    model.save_pretrained(folder)
    DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder
