"""Weights into a model of detectron2, with nothing left to chance: what is missing is an error."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

from benchmarks.judges.loading import does_not_load
from lumina_eval.errors import UserError

#: The end of names that take no part in what a model says: a count of batches.
COUNTED: Final = "num_batches_tracked"


def load_whole(model: Any, file: Path) -> None:
    """Load a checkpoint, which must hold every parameter of the model.

    A ``.pth`` is read without running what it may hold; a ``.pkl``, the form of the model zoo, is unpickled.

    Raises UserError if the file does not load, or a parameter is not in it: detectron2 itself leaves that one
    random, with no more than a warning.
    """
    import torch
    from detectron2.checkpoint import DetectionCheckpointer

    class Whole(DetectionCheckpointer):  # type: ignore[misc]  # detectron2 has no types
        def _torch_load(self, path: str) -> Any:
            return torch.load(path, map_location="cpu", weights_only=True)

        def _load_model(self, checkpoint: Any) -> Any:
            incompatible = super()._load_model(checkpoint)
            lacking = [name for name in incompatible.missing_keys if not name.endswith(COUNTED)]
            lacking += [str(shape[0]) for shape in incompatible.incorrect_shapes]
            if lacking:
                others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
                raise UserError(
                    f"expected all parameters of the model, found none that fits {lacking[0]}{others}, in "
                    f"{file}; fix: take the config that the weights were trained with"
                )
            return incompatible

    try:
        Whole(model).load(str(file))
    except (
        *(OSError, ValueError, RuntimeError, AttributeError, TypeError, KeyError, EOFError, AssertionError),
        pickle.UnpicklingError,
    ) as error:
        raise does_not_load("weights for detectron2", file, error) from error
