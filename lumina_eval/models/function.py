"""``FILE.py:function``: any function of (prompts, seeds) as a model.

The function returns one image per prompt: PIL images, uint8 arrays of shape (H, W, 3), or one uint8 array of
shape (N, H, W, 3); None, or an exception that says why, stands for an image that there is not. It may carry
attributes: ``name``, ``stage``, ``step``, ``sampling`` (a JSON object), ``sampler_version``, ``device``. The
file's sha256 is its only component: code
that it imports, or weights that it loads, belong into ``components`` (name to sha256) to be part of the key.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError, is_user_error, nearest
from lumina_eval.plugins import Model

Generate = Callable[[Sequence[str], Sequence[int]], Any]


def is_function(text: str) -> bool:
    """Tell whether ``text`` has the form ``FILE.py:function``."""
    return re.search(r"\.py(:|$)", text) is not None


def open_models(text: str, options: Mapping[str, str]) -> list[Model]:
    """Load the file and return its function as the only model."""
    file, _, name = text.rpartition(":")
    if not file or not name:
        raise UserError(f"expected --model FILE.py:function, found {text!r}; fix: name the function")
    path = Path(file)
    if not path.is_file():
        raise UserError(
            f"expected a Python file with function {name!r}, found no file {path}; fix: name another"
        )
    spec = importlib.util.spec_from_file_location(f"lumina_eval_function_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be loaded as Python; fix: name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if is_user_error(error):
            raise
        raise UserError(
            f"{path} does not load: {type(error).__name__}: {error}; "
            "fix: mend the file, or install what it imports"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UserError(
            f"{path} has no function {name!r} ({nearest(name, names)}); fix: name one that it defines"
        )
    return [FunctionModel(function, path, name)]


class FunctionModel:
    """A function dressed as a model."""

    takes_options = False

    def __init__(self, function: Generate, path: Path, name: str) -> None:
        self._function = function
        self._components = {"file": sha256_file(path), **getattr(function, "components", {})}
        self._sampling = {"function": name, **getattr(function, "sampling", {})}
        self.name: str = getattr(function, "name", name)
        self.checkpoint = f"{path}:{name}"
        self.stage: str | None = getattr(function, "stage", None)
        self.step: int | None = getattr(function, "step", None)
        self.device: str = getattr(function, "device", "cpu")
        self.sampler_version: int = getattr(function, "sampler_version", 1)

    def components(self) -> Mapping[str, str]:
        """Return the file's sha256, and what the function says."""
        return self._components

    def sampling(self) -> Mapping[str, Any]:
        """Return the function's name and its own settings."""
        return self._sampling

    def final_text(self, prompt: str) -> str:
        """Return the prompt as it is."""
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image | Exception | None]:
        """Call the function; what is no image per prompt is a UserError, for it would be so in each batch."""
        found = self._function(prompts, seeds)
        images = _taken_apart(found)
        if images is None:
            raise self._unfit(len(prompts), _described(found))
        if len(images) != len(prompts):
            raise self._unfit(len(prompts), f"{len(images)} images")
        return [self._image(one, len(prompts)) for one in images]

    def _image(self, found: Any, count: int) -> Image.Image | Exception | None:
        if found is None or isinstance(found, Exception):
            return found
        if isinstance(found, Image.Image) and 0 not in found.size:
            return found
        if (
            isinstance(found, np.ndarray)
            and found.dtype == np.uint8
            and found.shape[2:] == (3,)
            and found.size
        ):
            return Image.fromarray(np.ascontiguousarray(found), "RGB")
        raise self._unfit(count, f"{_described(found)} among them")

    def _unfit(self, count: int, found: str) -> UserError:
        return UserError(
            f"expected {count} images for {count} prompts from {self.checkpoint}, found {found}; fix: return "
            "a list of PIL images or of uint8 arrays (H, W, 3), or one uint8 array (N, H, W, 3)"
        )


def _taken_apart(found: Any) -> list[Any] | None:
    """Return the elements of a batch; None for what is none, such as a single image."""
    if isinstance(found, np.ndarray):
        return list(found) if found.ndim == 4 else None
    if isinstance(found, str | bytes | Mapping | Image.Image) or not isinstance(found, Iterable):
        return None
    return list(found)


def _described(found: Any) -> str:
    name = type(found).__name__
    if isinstance(found, Image.Image):
        return f"a picture of {found.width} by {found.height} pixels"
    if hasattr(found, "shape") and hasattr(found, "dtype"):
        return f"a {name} of {found.dtype} with shape {tuple(found.shape)}"
    return f"a {name}"
