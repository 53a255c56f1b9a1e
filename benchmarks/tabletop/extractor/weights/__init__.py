"""The extractor's weights in open_clip's form, part of the package; SHA256SUMS pins every file."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.files import write_lines

FOLDER: Final = Path(__file__).parent
SUMS: Final = "SHA256SUMS"
#: What an open_clip folder with a tokenizer of its own is made of.
FILES: Final = (
    "open_clip_config.json",
    "open_clip_model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


@functools.cache
def weights_folder(folder: Path = FOLDER) -> Path:
    """Return the folder of the weights, after comparing its files with their sums.

    Raises:
        UserError: a file is missing, or is not what SHA256SUMS says.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        same = lines == checksums(folder)
    except OSError as error:
        raise UserError(
            f"expected the extractor's weights in {folder}, found no {Path(error.filename).name}; "
            "fix: install the package again"
        ) from error
    if not same:
        raise UserError(
            f"expected the files of {folder / SUMS}, found others; fix: install the package again"
        )
    return folder


def checksums(folder: Path) -> list[str]:
    """Return the lines of SHA256SUMS for the files that are there, in sha256sum's form."""
    return [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in FILES]


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS anew."""
    write_lines(folder / SUMS, checksums(folder))
