"""Digest of source files: a judge or a model that is all code has its code for weights."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources


@functools.cache
def source_digest(*names: str) -> str:
    """Return the sha256 of files, in this order; names are relative to the package ``benchmarks``."""
    folder = resources.files("benchmarks")
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in names)).hexdigest()
