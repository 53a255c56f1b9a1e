"""The tiny models of ``tests/tiny_lumina.py`` and ``tests/checkpoint_files.py`` as fixtures."""

from checkpoint_files import small
from tiny_lumina import autoencoder, config, model, pipeline_folder, text_encoder

__all__ = ["autoencoder", "config", "model", "pipeline_folder", "small", "text_encoder"]
