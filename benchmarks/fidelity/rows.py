"""Features within a verdict: each row whole, so that a run folder alone is enough to count again.

A verdict holds ``extractors`` (role to the extractor's digest) and ``rows`` (digest to the row, little-endian
in base64: float32, which is what extractors compute, unless ``types`` names another type for the digest). Two
roles with one extractor share a row. A row of Inception's 2048 numbers takes 11 KB, one of tabletop's 64
takes 344 bytes; what would be saved by keeping rows elsewhere is not worth verdicts that mean nothing without
another folder.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError
from lumina_eval.records import Verdict

Rows = NDArray[np.floating[Any]]

#: Types of a row; what is written is float32, or float64 where a file of features was of more than that.
_SINGLE: Final = "<f4"
_TYPES: Final = (_SINGLE, "<f8")


def encode(row: Rows) -> str:
    """Return a row as text, in the type of :func:`type_of`."""
    return base64.b64encode(row.astype(type_of(row)).tobytes()).decode("ascii")


def type_of(row: Rows) -> str:
    """Return ``"<f4"`` for a row of at most float32, else ``"<f8"``."""
    return _TYPES[row.dtype.itemsize > 4]


def output_of(extractors: Mapping[str, str], rows: Mapping[str, Rows]) -> dict[str, Any]:
    """Return what a verdict holds: ``extractors`` are roles with digests, ``rows`` are by digest."""
    found = {"extractors": dict(extractors), "rows": {digest: encode(row) for digest, row in rows.items()}}
    types = {digest: type_of(row) for digest, row in rows.items() if type_of(row) != _SINGLE}
    return {**found, "types": types} if types else found


def rows_of(verdicts: Sequence[Verdict], role: str) -> tuple[Rows, str]:
    """Return the rows of a role in the order of the verdicts, (N, width), and the extractor's digest.

    They are decoded into their place, one by one: nothing else of their size is held beside the verdicts.

    Raises UserError if they are of several extractors, widths or types, not what :func:`output_of` wrote, or
    not finite.
    """
    digests = {str(verdict.output.get("extractors", {}).get(role)) for verdict in verdicts}
    if len(digests) != 1 or digests == {"None"}:
        raise UserError(
            f"expected features of one extractor for {role} in all verdicts, found "
            f"{', '.join(sorted(digests)) or 'none'}; fix: judge the images again"
        )
    digest = digests.pop()
    first = _decode(verdicts[0], digest)
    found = np.empty((len(verdicts), len(first)), dtype=first.dtype.newbyteorder("="))
    for place, verdict in enumerate(verdicts):
        row = _decode(verdict, digest)
        if (len(row), row.dtype) != (len(first), first.dtype):
            raise UserError(
                f"expected rows of one width for {role}, found {len(first)} ({first.dtype}) and {len(row)} "
                f"({row.dtype}), in the verdict on image {verdict.index} of item {verdict.item_id}; "
                "fix: judge the images again"
            )
        if not np.isfinite(row).all():
            raise UserError(
                f"expected finite features for {role}, found NaN or infinity, for image {verdict.index} of "
                f"item {verdict.item_id}; fix: look at that image, or for a fault in the precision"
            )
        found[place] = row
    return found, digest


def _decode(verdict: Verdict, digest: str) -> Rows:
    try:
        data = base64.b64decode(verdict.output["rows"][digest], validate=True)
        kind = verdict.output.get("types", {}).get(digest, _SINGLE)
        if kind not in _TYPES:
            raise ValueError(f"numbers of type {kind!r}")
        row: Rows = np.frombuffer(data, dtype=kind)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise UserError(
            f"expected features of extractor {digest[:12]} as base64, found {error}, in the verdict on image "
            f"{verdict.index} of item {verdict.item_id}; fix: judge the images again"
        ) from error
    return row
