"""Checkpoints of torch.distributed.checkpoint: `.metadata` and shards `__*.distcp`, as FSDP writes them.

They are read in one process, however many wrote them. Only tensors of the wanted transformer are read; an
optimiser's state and other values beside them, which would have to be unpickled, are left alone.
"""

import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from lumina_model.checkpoint import read_transformer_config
from lumina_model.errors import UserError
from lumina_model.formats.distributed_metadata import read_metadata
from lumina_model.formats.pickles import first_line
from lumina_model.formats.stored import Stored, Weights, choose_prefix, config_of, under_our_names

FORMAT = "distributed"
METADATA = ".metadata"
CONFIG = "config.json"


def read_distributed(path: Path, weights: Weights = "ema") -> Stored:
    """Config and tensors of a distributed checkpoint.

    The names are ours or the official ones, plain or after `model.` and `ema.`. A `config.json` as in a
    diffusers folder is taken if it lies beside the metadata; else the config is inferred from the shapes.

    Raises:
        UserError: a file is missing, broken or not what it should be, or there is no such transformer.
    """
    where = str(path)
    metadata = read_metadata(path / METADATA)
    files = _shards(metadata, path)
    stored = {
        name: entry
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    prefix = choose_prefix(stored, weights, where)
    wanted = {name: entry for name, entry in stored.items() if name.startswith(prefix)}
    shapes = {name[len(prefix) :]: tuple(entry.size) for name, entry in wanted.items()}
    own = path / CONFIG
    config = read_transformer_config(path) if own.is_file() else config_of(shapes, where)
    tensors = _read(path, metadata, wanted)
    renamed = under_our_names(
        {name[len(prefix) :]: tensor for name, tensor in tensors.items()}, config, where
    )
    described = (own,) if own.is_file() else ()
    return Stored(FORMAT, config, renamed, where, (path / METADATA, *described, *files))


class _Reader(FileSystemReader):
    """Torch's reader with metadata that were checked: its own would unpickle whatever the file says."""

    def __init__(self, path: Path, metadata: Metadata):
        super().__init__(path)
        self._metadata = metadata

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return the metadata that were read before; there are none per rank."""
        if kwargs.get("rank") is not None:
            raise FileNotFoundError(METADATA)
        self._metadata.storage_meta = self._metadata.storage_meta or StorageMeta()
        self._metadata.storage_meta.load_id = self.load_id
        return self._metadata


def _shards(metadata: Metadata, folder: Path) -> list[Path]:
    """The files that the metadata name, which must lie in the folder and nowhere else."""
    storage = metadata.storage_data if isinstance(metadata.storage_data, dict) else {}
    names = sorted({str(getattr(info, "relative_path", "")) for info in storage.values()})
    for name in names:
        if PurePosixPath(name).name != name or not name:
            raise UserError(
                f"expected shards in the folder itself, found {name!r}, in {folder / METADATA}; "
                "fix: take the checkpoint from a source that you trust"
            )
        if not (folder / name).is_file():
            raise UserError(f"expected the file {folder / name}, found none; fix: restore it")
    if not names:
        raise UserError(f"expected shards, found none, in {folder / METADATA}; fix: restore the file")
    return [folder / name for name in names]


def _read(folder: Path, metadata: Metadata, wanted: dict[str, TensorStorageMetadata]) -> dict[str, Tensor]:
    try:
        tensors = {
            name: torch.empty(entry.size, dtype=entry.properties.dtype) for name, entry in wanted.items()
        }
        with warnings.catch_warnings():
            # It says that it reads in a single process; that is what is wanted.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            load(dict(tensors), storage_reader=_Reader(folder, metadata), no_dist=True)
    except (
        Exception,
        CheckpointException,
    ) as error:  # whatever a shard that was cut off, or a wrong offset, makes torch raise
        reason = _reason(error)
        raise UserError(
            f"expected the shards of a complete checkpoint, found {reason}, in {folder}; "
            "fix: restore its files"
        ) from error
    return tensors


def _reason(error: BaseException) -> str:
    """The first line of what went wrong; torch wraps what a rank raised in an exception of its own."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    return first_line(error)
