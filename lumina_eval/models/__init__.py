"""Opening models by what ``--model`` says: ``SCHEME[:SPEC]`` or ``FILE.py:function``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from lumina_eval import plugins
from lumina_eval.errors import UserError
from lumina_eval.models import function
from lumina_eval.plugins import Model


def open_models(text: str, options: Mapping[str, str]) -> list[Model]:
    """Return the checkpoints that ``text`` names, in order.

    ``options`` go to the plug-in: ``device`` (``auto``, ``cpu``, ``cuda``) and what ``--option`` says.
    """
    if function.is_function(text):
        return function.open_models(text, options)
    scheme, _, spec = text.partition(":")
    models: Sequence[Model] = plugins.load("models", scheme)(spec, options)
    if not models:
        raise UserError(
            f"expected at least one checkpoint from --model {text}, found none; fix: name what holds one"
        )
    return [plugins.whole(model, Model, f"--model {text}") for model in models]


def distribution_of(text: str) -> str | None:
    """Return the distribution that answers to ``text``; None for a function in a file."""
    plugin = plugins.available("models").get(text.partition(":")[0])
    if function.is_function(text) or plugin is None:
        return None
    return plugin.distribution.split(" ")[0]


def nearest_device(wanted: str, option: str = "--device ") -> str:
    """Return what to write instead of ``wanted``, which is no device that is known here.

    >>> nearest_device("gpu"), nearest_device("mps")
    ('--device auto, or cuda with an NVIDIA GPU', '--device cpu; other accelerators are not supported')
    """
    if difflib.get_close_matches(wanted.lower(), ["gpu", "nvidia", "cuda"], 1, 0.7):
        return f"{option}auto, or cuda with an NVIDIA GPU"
    if wanted.lower() in ("mps", "metal", "rocm", "xpu", "npu", "tpu"):
        return f"{option}cpu; other accelerators are not supported"
    return f"{option}auto"


def device_kind(wanted: str, option: str = "--device ") -> str:
    """Resolve ``auto`` to ``cuda`` where torch sees a device, else ``cpu``.

    ``option`` is what the user writes before the device, for the message. Raises :class:`UserError` for what
    is no device, and if ``cuda`` is wanted where there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if there else "cpu"
    if wanted != "cpu" and not wanted.startswith("cuda"):
        fix = nearest_device(wanted, option)
        raise UserError(f"expected {option}auto, cpu or cuda, found {wanted!r}; fix: {fix}")
    if wanted != "cpu" and not there:
        raise UserError(f"expected a CUDA device for {option}{wanted}, found none; fix: take {option}cpu")
    return wanted
