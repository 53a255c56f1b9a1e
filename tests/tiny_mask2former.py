"""A Mask2Former of the true architecture, small and with random weights, as mmdet would write it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from benchmarks.judges.detectors.mmdet.conversion import convert
from benchmarks.judges.detectors.mmdet.shapes import Architecture, mmdet_shapes

#: 32 channels are the least that mmdet's group norm allows.
TINY = Architecture(
    depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), embed_dim=8, window=3, channels=32, attention_heads=4,
    encoder_layers=1, encoder_feedforward=32, decoder_layers=3, decoder_feedforward=32, queries=12,
)  # fmt: skip


def mmdet_state(numbers: Architecture = TINY, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return weights by mmdet's names, large enough for queries to see different things."""
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in mmdet_shapes(numbers).items():
        spread = 1.0 if len(shape) < 2 or "embed" in name or "query" in name else 2.0 * shape[-1] ** -0.5
        state[name] = spread * torch.randn(shape, generator=draw)
        if len(shape) == 1:
            state[name] = 0.3 * state[name] + (1.0 if name.endswith("weight") else 0.0)
        if name.endswith("bias") and ("mask_" in name or "output_convs" in name):
            state[name] *= 0  # else every mask is of the same sign everywhere
        if "transformer_decoder" in name and ("out_proj" in name or "ffns" in name):
            state[name] *= 0.3  # else every query becomes the same
    state["backbone.stages.0.blocks.0.attn.w_msa.relative_position_index"] = torch.zeros(9, 9).long()
    return state


def mmdet_file(path: Path, state: dict[str, torch.Tensor] | None = None) -> Path:
    """Write a checkpoint as mmdet does: weights beside what is known of the training."""
    torch.save({"meta": {"mmdet_version": "2.24.1"}, "state_dict": state or mmdet_state()}, path)
    return path


def mask2former_folder(folder: Path, classes: tuple[str, ...] = TINY.classes) -> Path:
    """Write the converted model."""
    folder.mkdir(parents=True)
    numbers = dataclasses.replace(TINY, classes=classes)
    convert(mmdet_file(folder / "mmdet.pth", mmdet_state(numbers)), folder / "converted", numbers)
    return folder / "converted"
