"""Make the embedded bundle from a training run: bfloat16 weights, the stages, and their checksums."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import Gemma2Model

from lumina_model import embedded
from lumina_model.checkpoint import read_autoencoder
from lumina_model.checkpoint_record import FILE, read_checkpoint_record
from lumina_model.errors import UserError


def make_bundle(run: Path) -> None:
    """Replace the weights of the package by those of a training run.

    Args:
        run: folder with ``tokenizer``, ``text_encoder``, ``vae``, ``scheduler`` and every stage of
            :data:`lumina_model.embedded.STAGES`.

    Raises:
        UserError: a part or a stage is missing or cannot be read; nothing was changed then.

    A kill while the new parts are put in place leaves a bundle that is refused; run it again then.
    """
    for name in (*embedded.SHARED, *(f"stages/{stage}/{FILE}" for stage in embedded.STAGES)):
        if not (run / name).exists():
            raise UserError(
                f"expected {name} in the training run, found none, at {run}; fix: train it with lumina-model"
            )
    for stage in embedded.STAGES:
        read_checkpoint_record(run / "stages" / stage)
    aside = Path(tempfile.mkdtemp(prefix=".bundle-", dir=embedded.FOLDER))
    try:
        for name in ("tokenizer", "scheduler", *(f"stages/{stage}" for stage in embedded.STAGES)):
            shutil.copytree(run / name, aside / name)
        encoder = Gemma2Model.from_pretrained(run / "text_encoder", local_files_only=True)
        encoder.to(torch.bfloat16).save_pretrained(aside / "text_encoder")
        read_autoencoder(run / "vae", torch.bfloat16).vae.save_pretrained(aside / "vae")
        for name in (*embedded.SHARED, "stages"):
            shutil.rmtree(embedded.FOLDER / name, ignore_errors=True)
            os.replace(aside / name, embedded.FOLDER / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    (embedded.FOLDER / embedded.SUMS).write_text(embedded.checksums(), encoding="utf-8")
