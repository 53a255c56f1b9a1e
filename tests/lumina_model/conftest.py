"""The tiny models, checkpoint files and training of ``tests/`` as fixtures."""

import functools
import os

import fork_server
import pytest
from checkpoint_files import small
from tiny_lumina import autoencoder, config, model, pipeline_folder, text_encoder
from tiny_training import trained_parts, training_set
from torch.multiprocessing.spawn import start_processes

from lumina_model.training import processes

__all__ = [
    "autoencoder", "config", "model", "pipeline_folder", "small", "text_encoder",
    "trained_parts", "training_set",
]  # fmt: skip


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes of a group, where there are forks, from one that has loaded the modules."""
    if os.name == "posix":
        fork_server.context()
        start = functools.partial(start_processes, start_method="forkserver")
        monkeypatch.setattr(processes, "start_processes", start)
