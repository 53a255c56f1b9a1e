"""Tensors and configs of a component folder, read with every check that a broken file needs.

Weights are safetensors, one file or shards with an index. Whatever is wrong is said as a `UserError` that
names the file or the tensor.
"""

import difflib
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

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name -> its shape."""

MOST_NAMED = 10  # wrong tensors that one message names; beyond that their number tells more than their names


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
        weight_map = read_json(index[0]).get("weight_map")
        if not isinstance(weight_map, dict):
            raise UserError(f"expected a weight_map, found none, in {index[0]}; fix: restore the file")
        return [folder / name for name in sorted(set(weight_map.values()))]
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"expected one .safetensors file or an index, found {found}, in {folder}; fix: restore it"
        )
    return files


def iterate_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of every weight of a component, in order of name, one at a time."""
    opened: dict[str, Any] = {}
    for file in weight_files(folder):
        handle = open_safetensors(file)
        opened |= dict.fromkeys(handle.keys(), handle)
    for name in sorted(opened):
        yield name, opened[name].get_tensor(name)


def open_safetensors(file: Path) -> Any:
    """A safetensors file, opened but not read: it has ``keys``, ``get_tensor`` and ``metadata``.

    Raises:
        UserError: there is no such file, or it is no complete safetensors file.
    """
    try:
        return safe_open(str(file), framework="pt")
    except FileNotFoundError:
        raise UserError(f"expected the file {file}, found none; fix: check its path") from None
    except SafetensorError as error:
        raise UserError(
            f"expected a complete safetensors file, found {error}, in {file}; fix: fetch it again"
        ) from None


def load_checked(
    module: nn.Module,
    tensors: dict[str, Tensor],
    where: str,
    dtype: torch.dtype | None = None,
    assign: bool = False,
) -> None:
    """Load tensors into a module after checking names, shapes and values.

    Raises:
        UserError: tensors are missing, unexpected or of another shape (all of them are told, see
            `check_names`), or one has NaN or infinite values (the first in order of name is).
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    check_names(expected, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, where)
    for name in sorted(tensors):
        check_finite(name, tensors[name], where)
        if dtype is not None:
            tensors[name] = tensors[name].to(dtype)
    module.load_state_dict(tensors, assign=assign)


def check_names(expected: Shapes, found: Shapes, where: str) -> None:
    """Raise one `UserError` about every tensor that is missing, unexpected or of another shape.

    The first `MOST_NAMED` in order of name are named, the rest is counted. With an unexpected one comes the
    expected name that is nearest to it: often the two are one tensor under two names.
    """
    names = sorted(expected.keys() | found.keys())
    wrong = [name for name in names if expected.get(name) != found.get(name)]
    if wrong:
        told = "; ".join(_what_is_wrong(name, expected, found) for name in wrong[:MOST_NAMED])
        more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise UserError(
            f"{told}{more}, in {where}; fix: use the config of these weights, or restore the file"
        )


def _what_is_wrong(name: str, expected: Shapes, found: Shapes) -> str:
    if name not in found:
        return f"expected tensor {name}, found none"
    if name in expected:
        return f"expected shape {expected[name]} for tensor {name}, found {found[name]}"
    near = difflib.get_close_matches(name, expected, n=1)
    return f"expected no tensor {name}, found one" + "".join(f" (nearest: {other})" for other in near)


def check_finite(name: str, tensor: Tensor, where: str) -> None:
    """Raise a `UserError` that names the tensor if it has NaN or infinite values."""
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise UserError(
            f"expected finite values in tensor {name}, found {bad} NaN or infinite, in {where}; "
            "fix: restore the weights, or look at the training run that wrote them"
        )
