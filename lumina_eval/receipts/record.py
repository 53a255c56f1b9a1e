"""A receipt as a record: what was asked, what the judge said, what was published, and digests of it all."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from lumina_eval.digests import digest_of, sha256_bytes
from lumina_eval.errors import UserError
from lumina_eval.migrations import parsed
from lumina_eval.records import Manifest, Record, RunResult, Sha256

#: Characters of compressed lines that a receipt holds itself; more of them stay in a file beside it.
INSIDE: Final = 8 * 2**20
#: Bytes of lines that are unpacked from within one, and that a part may have at all: no file is larger.
UNPACKED: Final = 2**30
LARGEST: Final = 2**40


class Packed(Record):
    """Lines of a file: compressed inside the receipt (zlib, base64), or in a file beside it."""

    sha256: Sha256
    """Of the lines as they are in the run folder."""
    size: int = Field(ge=0, le=LARGEST)
    """Of the lines in bytes."""
    data: str | None = None
    file: str | None = None
    """Name of the file beside the receipt; None where the lines are inside."""

    def read(self, folder: Path) -> bytes:
        """Return the lines; ``folder`` is where the receipt lies.

        Raises FileNotFoundError if the file beside is absent, and ValueError if the lines inside are broken.
        Whether they have the ``sha256`` is for the reader to check.
        """
        if self.data is None:
            return (folder / Path(self.file or "").name).read_bytes()
        if self.size > UNPACKED:
            raise ValueError(f"are said to be {self.size} bytes long, more than fit into a receipt")
        try:
            packed = base64.b64decode(self.data, validate=True)
            unpacked = zlib.decompressobj().decompress(packed, self.size + 1)
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"cannot be unpacked: {error}") from error
        if len(unpacked) != self.size:
            raise ValueError(f"are not {self.size} bytes long")
        return unpacked


class Receipt(Record):
    """``receipt.json``: a run in one file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    kind: Literal["receipt"] = "receipt"
    manifest: Manifest
    """That of the run, without places on the machine that it was made on."""
    result: RunResult
    """What was published: metrics, coverage, warnings."""
    command: str
    """What makes images, verdicts and numbers again."""
    items: Packed
    plan: Packed
    verdicts: Packed
    rewritten: Packed | None = None
    wording: tuple[str, str] | None = None
    """What the model puts before and after each prompt, with which the keys of the images follow; None where
    it puts nothing, or where the image store was not at hand when the receipt was made."""
    scores_sha256: Sha256
    results_sha256: Sha256
    digest: Sha256
    """Of the canonical JSON of all the other fields."""


def packed(path: Path, beside: str) -> Packed:
    """Pack the lines of a file; if they are too many, name the file ``beside`` that shall hold them."""
    lines = path.read_bytes()
    data = base64.b64encode(zlib.compress(lines, 9)).decode("ascii")
    known = {"sha256": sha256_bytes(lines), "size": len(lines)}
    return Packed(**known, file=beside) if len(data) > INSIDE else Packed(**known, data=data)


def digest_of_fields(value: dict[str, Any]) -> str:
    """Return the digest that a receipt with these JSON fields bears."""
    return digest_of({key: one for key, one in value.items() if key != "digest"})


def read_receipt(path: Path) -> tuple[Receipt, dict[str, Any]]:
    """Return a receipt and the JSON value that it was read from.

    Raises UserError if there is none, if it breaks off, or if another version wrote it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        run = path.parent if path.name == "receipt.json" else "RUN"
        raise UserError(f"cannot read receipt {path}: {why}; fix: lumina-eval receipt make {run}") from error
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        place = getattr(error, "pos", 0)
        broken_off = place >= len(text.rstrip()) - 1 or "Unterminated" in str(error)
        what = "a file that breaks off" if broken_off else "broken JSON"
        raise UserError(
            f"expected a receipt, found {what} at character {place} of {len(text)}, in {path}; "
            "fix: get the file again"
        ) from error
    if "\\ud" in text.lower() and not _writable(value):
        raise UserError(f"expected text, found half a character, in receipt {path}; fix: get the file again")
    if not isinstance(value, dict) or value.get("kind") != "receipt":
        raise UserError(
            f"expected a receipt, found another file, at {path}; fix: lumina-eval receipt make RUN"
        )
    return parsed(
        value, Receipt, path, fix="get the receipt again, or make it anew from the run folder"
    ), value


def _writable(value: Any) -> bool:
    """Tell whether all escapes stand for characters: half of a surrogate pair cannot be written again."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> float:
    """NaN and infinity are no JSON, and no number of ours."""
    raise ValueError(f"{constant} is no number")
