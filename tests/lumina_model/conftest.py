"""The tiny models, checkpoint files and training of ``tests/`` as fixtures."""

from checkpoint_files import small
from tiny_lumina import autoencoder, config, model, pipeline_folder, text_encoder
from tiny_training import trained_parts, training_set

__all__ = [
    "autoencoder", "config", "model", "pipeline_folder", "small", "text_encoder",
    "trained_parts", "training_set",
]  # fmt: skip
