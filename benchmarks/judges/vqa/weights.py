"""Where the weights of an answerer lie, and their digest: a folder, or a pinned revision of the Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Endings of the files that a model, its tokenizer and its image processor are made of.
PARTS: Final = (".safetensors", ".bin", ".json", ".txt", ".model", ".jinja")


def find_weights(spec: str, what: str) -> Path:
    """Return the folder of ``spec``: a folder, or ``OWNER/NAME@REVISION``, which is fetched.

    ``what`` is whose weights they are, for the message. Raises UserError if there are none.
    """
    folder = Path(spec)
    if spec and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                f"expected config.json of {what}, found none, in {folder}; "
                "fix: give the folder that save_pretrained has written"
            )
        return folder
    name, at, revision = spec.partition("@")
    if not spec or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"expected the weights of {what}, found no folder {spec!r}; "
            "fix: --set judge.weights=DIR, or --set judge.weights=OWNER/NAME@REVISION"
        )
    if not at:
        raise UserError(
            f"expected a pinned revision of {name}, found none; fix: --set judge.weights={name}@COMMIT"
        )
    return _fetched(name, revision)


def weights_digest(folder: Path, more: Sequence[str] = ()) -> str:
    """Return one sha256 over all files of a folder that make up a model, by name and content.

    ``more`` are endings of files beside :data:`PARTS`.
    """
    parts = (*PARTS, *more)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in parts)
    return digest_of([[path.relative_to(folder).as_posix(), sha256_file(path)] for path in files])


def device_of(wanted: str) -> str:
    """Return ``cuda`` or ``cpu`` for ``auto``, else what is wanted; UserError if it is not there."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if there else "cpu"
    if wanted != "cpu" and not wanted.startswith("cuda"):
        raise UserError(f"expected auto, cpu or cuda for judge.device, found {wanted!r}")
    if wanted != "cpu" and not there:
        raise UserError(
            f"expected a CUDA device for judge.device={wanted}, found none; fix: --set judge.device=cpu"
        )
    return wanted


def _fetched(name: str, revision: str) -> Path:
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision))
    except Exception as error:  # the hub has many ways to fail, all of them the user's to mend
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise UserError(
            f"cannot get {name} at {revision}{offline}: {first_line(error)}; "
            f"fix: hf download {name} --revision {revision}"
        ) from error
