"""Where the weights of a judge lie, their digest and their device, told in the words of a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.models import device_kind
from lumina_eval.models.pinned import WEIGHTS, folder_digest, pinned_folder

#: Ends of the names of files that change what a judge says: a chat template does, too.
PARTS: Final = (*WEIGHTS, ".jinja")


def find_weights(spec: str, what: str) -> Path:
    """Return the folder of ``spec``: a folder, or ``OWNER/NAME@REVISION``, which is fetched.

    ``what`` is whose weights they are, for the message. Raises UserError if there are none.
    """
    return pinned_folder(spec, what, "config.json", "--set judge.weights=")


def weights_digest(folder: Path, more: Sequence[str] = ()) -> str:
    """Return one sha256 over all files of a folder that make up a model, by name and content.

    ``more`` are endings of files beside :data:`PARTS`.
    """
    return folder_digest(folder, (*PARTS, *more))


def device_of(wanted: str) -> str:
    """Return ``cuda`` or ``cpu`` for ``auto``, else what is wanted; UserError if it is not there."""
    return device_kind(wanted, "--set judge.device=")
