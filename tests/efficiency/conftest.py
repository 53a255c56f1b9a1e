"""The tiny models of ``tests/tiny_lumina.py`` and the runs of ``tests/measured_world.py`` as fixtures."""

from measured_world import measured, scored_run
from tiny_lumina import autoencoder, config, model, pipeline_folder, text_encoder

__all__ = ["autoencoder", "config", "measured", "model", "pipeline_folder", "scored_run", "text_encoder"]
