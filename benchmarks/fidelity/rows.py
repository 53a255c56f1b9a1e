"""Features within a verdict: each row whole, so that a run folder alone is enough to count again.

A verdict holds ``extractors`` (role to the extractor's digest) and ``rows`` (digest to the row, little-endian
float32 in base64). Two roles with one extractor share a row. A row of Inception's 2048 numbers takes 11 KB,
one of tabletop's 64 takes 344 bytes; what would be saved by keeping rows elsewhere is not worth verdicts that
mean nothing without another folder.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumina_eval.errors import UserError
from lumina_eval.records import Verdict

Rows = NDArray[np.float32]


def encode(row: Rows) -> str:
    """Return a row as text."""
    return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")


def output_of(extractors: Mapping[str, str], rows: Mapping[str, Rows]) -> dict[str, Any]:
    """Return what a verdict holds: ``extractors`` are roles with digests, ``rows`` are by digest."""
    return {"extractors": dict(extractors), "rows": {digest: encode(row) for digest, row in rows.items()}}


def rows_of(verdicts: Sequence[Verdict], role: str) -> tuple[Rows, str]:
    """Return the rows of a role in the order of the verdicts, (N, width), and the extractor's digest.

    Raises UserError if they are of several extractors or widths, not what :func:`output_of` wrote, or not
    finite.
    """
    digests = {str(verdict.output.get("extractors", {}).get(role)) for verdict in verdicts}
    if len(digests) != 1 or digests == {"None"}:
        raise UserError(
            f"expected features of one extractor for {role} in all verdicts, found "
            f"{', '.join(sorted(digests)) or 'none'}; fix: judge the images again"
        )
    digest = digests.pop()
    rows = [_decode(verdict, digest) for verdict in verdicts]
    if len({len(row) for row in rows}) > 1:
        raise UserError(
            f"expected rows of one width for {role}, found {sorted({len(row) for row in rows})}; "
            "fix: judge the images again"
        )
    found = np.stack(rows)
    if not np.isfinite(found).all():
        first = verdicts[int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])]
        raise UserError(
            f"expected finite features for {role}, found NaN or infinity, for image {first.index} of item "
            f"{first.item_id}; fix: look at that image, or for a fault in the extractor's precision"
        )
    return found, digest


def _decode(verdict: Verdict, digest: str) -> Rows:
    try:
        data = base64.b64decode(verdict.output["rows"][digest], validate=True)
        row = np.frombuffer(data, dtype="<f4")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise UserError(
            f"expected features of extractor {digest[:12]} as base64, found {error}, in the verdict on image "
            f"{verdict.index} of item {verdict.item_id}; fix: judge the images again"
        ) from error
    return row.astype(np.float32, copy=False)
