"""The embedded Lumina: a small model of the tabletop world whose weights are part of the package.

``text_encoder``, ``tokenizer``, ``vae`` and ``scheduler`` are shared; each of the ``stages`` has its own
``transformer`` and ``checkpoint.json``. SHA256SUMS pins every file; MODEL_CARD.md tells how they were made.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from lumina_model.errors import UserError

FOLDER = Path(__file__).parent
STAGES = ("low_res", "high_res", "hq_tuning")
SHARED = ("text_encoder", "tokenizer", "vae", "scheduler")
SUMS = "SHA256SUMS"


def parts(stage: str) -> dict[str, Path]:
    """Return the folder of each component of a stage.

    Raises:
        UserError: there is no such stage, or a file of the bundle is not what SHA256SUMS says.
    """
    if stage not in STAGES:
        raise UserError(
            f"expected a stage out of {', '.join(STAGES)}, found {stage!r}; fix: take one of them"
        )
    _verified(FOLDER)
    return {name: FOLDER / name for name in SHARED} | {
        "transformer": FOLDER / "stages" / stage / "transformer"
    }


def weight_files() -> list[Path]:
    """Return every file that is part of the bundle, sorted by path."""
    folders = (*(FOLDER / name for name in SHARED), FOLDER / "stages")
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in files if not file.name.startswith("."))


def checksums() -> str:
    """Return the text of SHA256SUMS as it should be for the files that are there (sha256sum's format)."""
    lines = (
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(FOLDER).as_posix()}\n"
        for file in weight_files()
    )
    return "".join(lines)


def verify() -> None:
    """Compare the bundle with SHA256SUMS.

    Raises:
        UserError: a file is missing, changed or unknown; the first is named.
    """
    try:
        expected = set((FOLDER / SUMS).read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise UserError(
            f"expected {FOLDER / SUMS}, found {error.strerror}; fix: install the package again"
        ) from error
    if different := sorted(expected ^ set(checksums().splitlines()), key=lambda line: line[66:]):
        raise UserError(
            f"expected the files of {FOLDER / SUMS}, found {different[0][66:]} missing, changed or unknown; "
            f"fix: install the package again"
        )


@functools.cache
def _verified(folder: Path) -> None:
    """Verify a bundle once in the life of a process."""
    verify()
