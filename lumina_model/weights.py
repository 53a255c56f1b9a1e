"""Tensors and configs of a component folder, read with every check that a broken file needs.

Weights are safetensors, one file or shards with an index. Whatever is wrong is said as a `UserError` that
names the file or the tensor.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lumina_model.errors import UserError

Parts = Mapping[str, str | os.PathLike[str]]
"""Component name -> its folder, for checkpoints whose components lie in different places."""


def component_folder(source: str | os.PathLike[str] | Parts, name: str) -> Path:
    """Folder of one component, given a pipeline folder or the folders of its parts.

    Raises:
        UserError: it does not exist.
    """
    if isinstance(source, Mapping):
        if name not in source:
            raise UserError(
                f"expected a folder for {name}, found only {', '.join(source) or 'none'}; fix: name it"
            )
        folder = Path(source[name])
    else:
        folder = Path(source) / name
    if not folder.is_dir():
        raise UserError(
            f"expected the folder {folder} with the {name}, found none; fix: check the checkpoint's path"
        )
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; a missing or broken file is the user's to mend."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"expected the file {path}, found none; fix: check the checkpoint's path") from None
    except json.JSONDecodeError as error:
        raise UserError(f"expected JSON, found {error}, in {path}; fix: restore the file") from None
    if not isinstance(record, dict):
        raise UserError(
            f"expected a JSON object, found {type(record).__name__}, in {path}; fix: restore the file"
        )
    return record


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a component: the shards of its index, or the only one there is."""
    index = sorted(folder.glob("*.safetensors.index.json"))
    if index:
        return [folder / name for name in sorted(set(read_json(index[0])["weight_map"].values()))]
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"expected one .safetensors file or an index, found {found}, in {folder}; fix: restore it"
        )
    return files


def iterate_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of every weight of a component, in order of name, one at a time."""
    opened = {}
    for file in weight_files(folder):
        try:
            handle = safe_open(str(file), framework="pt")
        except FileNotFoundError:
            raise UserError(f"expected the file {file}, found none; fix: restore it") from None
        except SafetensorError as error:
            raise UserError(
                f"expected a complete safetensors file, found {error}, in {file}; fix: fetch it again"
            ) from None
        for name in handle.keys():  # noqa: SIM118 (not a mapping)
            opened[name] = handle
    for name in sorted(opened):
        yield name, opened[name].get_tensor(name)


def load_checked(
    module: nn.Module,
    tensors: dict[str, Tensor],
    where: str,
    dtype: torch.dtype | None = None,
    assign: bool = False,
) -> None:
    """Load tensors into a module after checking names, shapes and values.

    Raises:
        UserError: a tensor is missing, unexpected, of another shape, or has NaN or infinite values; the
            first of them in order of name is named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(
                f"expected tensor {name}, found none, in {where}; fix: restore the weights of this config"
            )
        if name not in expected:
            raise UserError(
                f"expected no tensor {name}, found one, in {where}; fix: use the config of these weights"
            )
        if tuple(tensors[name].shape) != expected[name]:
            raise UserError(
                f"expected shape {expected[name]} for tensor {name}, found {tuple(tensors[name].shape)}, "
                f"in {where}; fix: use the config of these weights"
            )
        check_finite(name, tensors[name], where)
        if dtype is not None:
            tensors[name] = tensors[name].to(dtype)
    module.load_state_dict(tensors, assign=assign)


def check_finite(name: str, tensor: Tensor, where: str) -> None:
    """Raise a `UserError` that names the tensor if it has NaN or infinite values."""
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise UserError(
            f"expected finite values in tensor {name}, found {bad} NaN or infinite, in {where}; "
            "fix: restore the weights, or look at the training run that wrote them"
        )
