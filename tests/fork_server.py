"""A process that has loaded what is slow to load, and done nothing with it: its forks start at once."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

#: What commands and training with the embedded model load; what is not named here is loaded by the fork.
LOADED = [
    "lumina_eval.cli",
    "lumina_model.adapter",
    "lumina_model.pipeline",
    "lumina_model.training.flow",
    "pandas",
    "scipy.stats",
    "torch._dynamo",
    "diffusers.models.autoencoders.autoencoder_kl",
    "transformers.models.gemma2.modeling_gemma2",
]


def context() -> BaseContext:
    """Return the way to start processes; the server itself starts with the first of them.

    Modules of :data:`LOADED` that do not import are passed over without a word, and load in the fork.
    """
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(LOADED)
    return found
