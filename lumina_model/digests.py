"""Identity of a checkpoint: one sha256 per component, part of every image's key."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from lumina_model.weights import Parts, component_folder, iterate_tensors, read_json


def component_digests(source: str | os.PathLike[str] | Parts) -> dict[str, str]:
    """sha256 (hex) of each component: what an image key is made from.

    Weights count as (name, dtype, shape, bytes) in order of name, so that sharding or a file's metadata
    do not matter, plus the config without its private keys (`_…`) and library versions. Tokenizer:
    its files by name. The scheduler is left out: its shift is part of `Sampling`.
    """
    digests = {}
    for name in ("transformer", "text_encoder", "vae"):
        folder = component_folder(source, name)
        digest = hashlib.sha256(_canonical_config(folder / "config.json"))
        digest.update(bytes.fromhex(tensors_digest(iterate_tensors(folder))))
        digests[name] = digest.hexdigest()
    digests["tokenizer"] = files_digest(component_folder(source, "tokenizer"))
    return dict(sorted(digests.items()))


def tensors_digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """sha256 over (name, dtype, shape, bytes) of tensors that come in order of name."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def files_digest(folder: Path) -> str:
    """sha256 over (name, length, bytes) of a folder's files in order of name."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        data = path.read_bytes()
        digest.update(json.dumps([path.name, len(data)]).encode())
        digest.update(data)
    return digest.hexdigest()


def _canonical_config(path: Path) -> bytes:
    record = read_json(path)
    kept = {key: value for key, value in record.items() if key[0] != "_" and key != "transformers_version"}
    return json.dumps(kept, sort_keys=True).encode()
