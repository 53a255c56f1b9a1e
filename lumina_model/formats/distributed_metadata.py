"""The `.metadata` of a torch distributed checkpoint: a pickle, read as data.

torch itself unpickles it without a check. Here only the classes that such a file is made of can be named.
"""

import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch.distributed.checkpoint import filesystem, metadata

from lumina_model.errors import UserError
from lumina_model.formats.pickles import first_line, refused

_PATHS = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_CLASSES: dict[tuple[str, str], Any] = {
    **{("torch.distributed.checkpoint.metadata", name): getattr(metadata, name) for name in metadata.__all__},
    ("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"): metadata._MEM_FORMAT_ENCODING,
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): filesystem._StorageInfo,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,  # looks a name up in a table
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    # Where it was written is of no use here; as a pure path it touches no disk and fits any system.
    **{(module, name): PurePosixPath for module in ("pathlib", "pathlib._local") for name in _PATHS},
}


def read_metadata(path: Path) -> metadata.Metadata:
    """Names, shapes and places of a distributed checkpoint's tensors.

    Raises:
        UserError: there is no such file, it is broken, or it names a class that no such file needs.
    """
    expected = "the metadata of a torch distributed checkpoint"
    try:
        with path.open("rb") as file:
            loaded = _Unpickler(file).load()
    except FileNotFoundError:
        raise UserError(f"expected the file {path}, found none; fix: check the checkpoint's path") from None
    except Exception as error:  # a broken pickle raises whatever its opcodes run into
        raise refused(path, expected, first_line(error)) from error
    if not isinstance(loaded, metadata.Metadata):
        raise refused(path, expected, type(loaded).__name__)
    return loaded


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the list or a dtype."""
        if (module, name) in _CLASSES:
            return _CLASSES[module, name]
        if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
            return dtype
        raise pickle.UnpicklingError(f"{module}.{name}, which could run code")
