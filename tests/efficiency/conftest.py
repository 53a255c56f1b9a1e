"""The tiny models of ``tests/tiny_lumina.py`` as fixtures."""

from tiny_lumina import autoencoder, config, model, pipeline_folder, text_encoder

__all__ = ["autoencoder", "config", "model", "pipeline_folder", "text_encoder"]
