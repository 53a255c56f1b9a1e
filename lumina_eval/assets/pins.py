"""What is known of a file's content before it is here, and whether a file that is here is that one."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import Field, field_validator

from lumina_eval.digests import sha256_file
from lumina_eval.records import Record, Sha256

#: Where the first fetch of what nothing else pins is written down, beside the files.
LOCK: Final = "lock.json"

GitId = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class Pin(Record):
    """What is known of a file's content; all of it must hold."""

    size: int | None = Field(default=None, ge=0)
    """Bytes; None where unknown."""
    sha256: Sha256 | None = None
    sha256_prefix: str | None = Field(default=None, pattern=r"^[0-9a-f]{8,63}$")
    """The first hex digits of the sha256, where no more is known."""
    git_blob: GitId | None = None

    @property
    def holds_content(self) -> bool:
        """True if it tells more than the size."""
        return bool(self.sha256 or self.sha256_prefix or self.git_blob)

    def problem(self, path: Path) -> str | None:
        """Read the file whole; say what is not as pinned, or None. OSError if it cannot be read."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"expected {self.size} bytes, found {size}"
        if self.sha256 or self.sha256_prefix:
            wanted, found = self.sha256 or self.sha256_prefix or "", sha256_file(path)
            if not found.startswith(wanted):
                return f"expected sha256 {wanted}, found {found}"
        if self.git_blob and (blob := git_blob_of(path)) != self.git_blob:
            return f"expected git blob {self.git_blob}, found {blob}"
        return None


class File(Pin):
    """One file of an asset."""

    name: str
    """Path below the asset's folder, with ``/``."""

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not name or name.startswith("/") or "\\" in name or ".." in parts or name == LOCK:
            raise ValueError("expected a relative path without '..'")
        return name


def git_blob_of(path: Path) -> str:
    """Return the id that git gives to a file of this content, 40 hex digits."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
