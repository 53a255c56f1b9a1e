"""Weights into a transformers model, with nothing left to chance: what is missing is an error."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.errors import UserError, first_line


def load_model(
    kind: Any,
    folder: Path,
    what: str,
    unused: Sequence[str] = (),
    dtype: str = "float32",
    config: Any = None,
) -> Any:
    """Return ``kind.from_pretrained(folder)`` in ``dtype``, for evaluation.

    ``what`` is whose weights they are, ``unused`` are endings of parameters that take no part in the result,
    ``config`` takes the place of the folder's own configuration.

    Raises UserError if the folder does not load, or a parameter is not in the files: transformers fills it
    with random numbers and no more than a warning.
    """
    import torch
    from safetensors import SafetensorError

    more = {} if config is None else {"config": config}
    try:
        with _quiet():
            model, loading = kind.from_pretrained(
                folder, dtype=getattr(torch, dtype), output_loading_info=True, **more
            )
    except SafetensorError as error:
        raise does_not_load(what, _damaged(folder), error) from error
    except (
        *(OSError, ValueError, RuntimeError, AttributeError, TypeError, KeyError, ImportError, EOFError),
        pickle.UnpicklingError,
    ) as error:
        raise does_not_load(what, folder, error) from error
    lacking = sorted(str(key) for key in loading["missing_keys"] if not str(key).endswith(tuple(unused)))
    lacking += sorted(str(key) for key in loading.get("mismatched_keys", ()))
    if lacking:
        others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(
            f"expected all parameters of {what} in {folder}, found none that fits {lacking[0]}{others}; "
            "fix: fetch or convert the folder anew"
        )
    return model.eval()


def does_not_load(what: str, place: Path, error: Exception) -> UserError:
    """Make the error for a file or folder ``place`` that should hold ``what``."""
    return UserError(
        f"expected {what} in {place}, found what does not load: {first_line(error)}; "
        "fix: fetch or convert the folder anew"
    )


def labels_of(folder: Path, what: str) -> tuple[str, ...]:
    """Return the names of the classes in the order of a model's scores (``id2label`` of its config.json).

    Raises UserError if there are none to be read.
    """
    from transformers import AutoConfig

    try:
        names = AutoConfig.from_pretrained(folder).id2label
        return tuple(str(names[index]) for index in sorted(names))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise does_not_load(f"the classes of {what}", folder / "config.json", error) from error


def _damaged(folder: Path) -> Path:
    """Return the first safetensors file that cannot be opened; the folder itself if all can."""
    from safetensors import SafetensorError, safe_open

    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt"):
                pass
        except (OSError, SafetensorError):
            return file
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing what :func:`load_model` checks."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
