"""Files that are pickles, read as data: what is not on the list of harmless classes is never called."""

import pickle
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from lumina_model.errors import UserError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a `.pth` file, on the CPU.

    Raises:
        UserError: there is no such file, it is broken, or it holds anything but named tensors.
    """
    loaded = _load(path, [])
    if not isinstance(loaded, Mapping) or not loaded:
        raise refused(path, "tensors by name", type(loaded).__name__)
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise refused(path, "tensors by name", f"{type(value).__name__} under {name!r}")
    return dict(loaded)


def read_namespace(path: Path) -> Namespace:
    """The `argparse.Namespace` of a `.pth` file, which holds the arguments of an official training.

    Raises:
        UserError: there is no such file, it is broken, or it holds anything but plain values.
    """
    loaded = _load(path, [Namespace])
    if not isinstance(loaded, Namespace):
        raise refused(path, "an argparse.Namespace", type(loaded).__name__)
    return loaded


def _load(path: Path, classes: list[Any]) -> Any:
    try:
        with safe_globals(classes):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"expected the file {path}, found none; fix: check the checkpoint's path") from None
    except pickle.UnpicklingError as error:
        # torch's own advice, to load without the check, is the last that should be passed on.
        unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"{unsafe[1]}, which could run code" if unsafe else first_line(error)
        raise refused(path, "plain values and tensors", found) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError … on files that are cut off
        raise refused(path, "a complete torch file", first_line(error)) from error


def refused(path: Path, expected: str, found: str) -> UserError:
    """The error about a pickle that is broken, or that is not what it should be."""
    return UserError(
        f"expected {expected}, found {found}, in {path}; "
        "fix: take the whole file from a source that you trust"
    )


def first_line(error: BaseException) -> str:
    """What an exception says, without the advice and traces that follow."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
