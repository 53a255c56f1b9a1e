"""Weights on disk with a digest: a folder, or a published repository at the revision that is named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Ends of the names of files that can change an output.
WEIGHTS: Final = (".safetensors", ".json", ".txt", ".model", ".bin")


def pinned_folder(spec: str, what: str, marker: str, option: str) -> Path:
    """Return the folder that ``DIR`` or ``OWNER/NAME@REVISION`` stands for, fetched if it is not here.

    ``what`` is whose weights they are, and ``option`` what the user writes before ``spec``, such as
    ``--set judge.weights=``; both for the message.

    Raises UserError if there is none, if the revision is not named, or if the file ``marker`` is not in it.
    """
    folder = Path(spec)
    if not spec or not folder.is_dir():
        folder = _fetched(spec, what, marker, option)
    if not (folder / marker).is_file():
        raise UserError(
            f"expected {marker} of {what}, found none, in {folder}; "
            "fix: give the folder that save_pretrained has written"
        )
    return folder


def folder_digest(folder: Path, suffixes: Sequence[str] = WEIGHTS) -> str:
    """Return one sha256 over names and contents of all weights, configurations and vocabularies.

    ``suffixes`` are the ends of the names of the files that count.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in suffixes)
    return digest_of([[p.relative_to(folder).as_posix(), sha256_file(p)] for p in files])


def _fetched(spec: str, what: str, marker: str, option: str) -> Path:
    name, at, revision = spec.partition("@")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"expected the weights of {what} (a folder with {marker}), found no folder {spec!r}; "
            f"fix: {option}DIR, or {option}OWNER/NAME@COMMIT"
        )
    if not at or not revision:
        raise UserError(f"expected a pinned revision of {name}, found none; fix: {option}{name}@COMMIT")
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision))
    except Exception as error:  # the hub has many ways to fail, all of them the user's to mend
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise UserError(
            f"cannot get {name} at {revision}{offline}: {first_line(error)}; "
            f"fix: hf download {name} --revision {revision}"
        ) from error
