"""A training set of sixteen coloured squares, and the smallest parts and stage trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lumina_model.next_dit import NextDiTConfig
from lumina_model.training.autoencoder import AutoencoderSettings, train_autoencoder
from lumina_model.training.flow import StageSettings
from lumina_model.training.loop import LoopSettings
from lumina_model.training.text_encoder import TextEncoderSettings, train_text_encoder
from lumina_model.training.tokenizer import train_tokenizer
from lumina_model.weights import iterate_tensors

COLORS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 220), "white": (250, 250, 250)}
MODEL = NextDiTConfig(
    hidden_size=48, num_layers=1, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1, multiple_of=16,
    axes_dim_rope=(8, 8, 8), cap_feat_dim=32,
)  # fmt: skip
LOOP = LoopSettings(steps=4, lr=1e-3, warmup_steps=1, save_every=2, log_every=1)
STAGE = StageSettings(stage="low_res", model=MODEL, loop=LOOP, size=32, batch=4, levels={"short": 1.0})


@pytest.fixture(scope="session")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    with (folder / "train.jsonl").open("w", encoding="utf-8") as lines:
        for index in range(16):
            color = list(COLORS)[index % 4]
            Image.new("RGB", (64, 64), COLORS[color]).save(folder / f"images/{index}.png")
            captions = {"en": {"short": f"a {color} table"}, "de": {"short": f"Tisch, Farbe {color}"}}
            record = {"image_path": f"images/{index}.png", "prompt": f"{color}", "captions": captions}
            lines.write(json.dumps(record) + "\n")
    return folder


@pytest.fixture(scope="session")
def trained_parts(training_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run with every part but the stages."""
    out = tmp_path_factory.mktemp("run")
    train_tokenizer(training_set, out, vocab_size=300)
    encoder = TextEncoderSettings(
        loop=LOOP, hidden_size=32, layers=2, heads=2, kv_heads=1, head_dim=16, mlp_size=32, batch=4
    )
    train_text_encoder(training_set, out, encoder)
    train_autoencoder(
        training_set,
        out,
        AutoencoderSettings(loop=LOOP, channels=(8, 8, 8, 8), norm_groups=4, sizes=(32, 64), batch=4),
    )
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(iterate_tensors(folder / "transformer"))


def copy_parts(parts: Path, out: Path) -> Path:
    out.mkdir()
    for name in ("tokenizer", "text_encoder", "vae"):
        (out / name).symlink_to(parts / name)
    return out
