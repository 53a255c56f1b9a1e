"""A reference Lumina-Image 2.0 (Unified Next-DiT): read, train, sample, convert.

    from lumina_model import Sampling, load_pipeline, load_transformer

The names below are imported when they are first used: torch takes seconds, which a command line that only
prints its help should not wait for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lumina_model.formats import load_pipeline, load_transformer
    from lumina_model.next_dit import NextDiT, NextDiTConfig
    from lumina_model.sampling import Sampling

__all__ = ["NextDiT", "NextDiTConfig", "Sampling", "load_pipeline", "load_transformer"]

_HOMES = {
    "NextDiT": "lumina_model.next_dit",
    "NextDiTConfig": "lumina_model.next_dit",
    "Sampling": "lumina_model.sampling",
    "load_pipeline": "lumina_model.formats",
    "load_transformer": "lumina_model.formats",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Tell the public names before they are imported."""
    return sorted({*globals(), *__all__})
