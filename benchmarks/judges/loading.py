"""Weights into a transformers model, with nothing left to chance: what is missing is an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.errors import UserError


def load_model(kind: Any, folder: Path, what: str, unused: Sequence[str] = ()) -> Any:
    """Return ``kind.from_pretrained(folder)`` in float32, for evaluation.

    ``what`` is whose weights they are, ``unused`` are endings of parameters that take no part in the result.

    Raises UserError if the folder does not load, or a parameter is not in the files: transformers fills it
    with random numbers and no more than a warning.
    """
    import torch

    try:
        with _quiet():
            model, loading = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, AttributeError, TypeError, KeyError, ImportError) as error:
        raise UserError(
            f"expected {what} in {folder}, found what does not load: {str(error).splitlines()[0]}; "
            "fix: fetch or convert the folder anew"
        ) from error
    lacking = sorted(str(key) for key in loading["missing_keys"] if not str(key).endswith(tuple(unused)))
    lacking += sorted(str(key) for key in loading.get("mismatched_keys", ()))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(
            f"expected all parameters of {what} in {folder}, found none that fits {lacking[0]}{more}; "
            "fix: fetch or convert the folder anew"
        )
    return model.eval()


def labels_of(folder: Path, what: str) -> tuple[str, ...]:
    """Return the names of the classes in the order of a model's scores (``id2label`` of its config.json).

    Raises UserError if there are none to be read.
    """
    from transformers import AutoConfig

    try:
        names = AutoConfig.from_pretrained(folder).id2label
        return tuple(str(names[index]) for index in sorted(names))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(
            f"expected the classes of {what} in {folder / 'config.json'}, found what does not load: "
            f"{str(error).splitlines()[0]}; fix: fetch or convert the folder anew"
        ) from error


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
