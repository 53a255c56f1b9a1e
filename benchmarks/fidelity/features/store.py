"""Features on disk, each computed once: a row for each picture, in a folder for each extractor.

.. code-block:: text

    ROOT/1a2b3c4d5e6f7a8b/extractor.json   which extractor, and how wide
                          rows.f32         float32, little-endian, one row after the other
                          keys.txt         the key of each row, 64 hex digits and a line end

A row counts once its key is there; rows are synced before their keys. So what a kill leaves behind is whole
rows with their keys, then a tail that counts for nothing and is cut off by the next ``add``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lumina_eval.errors import UserError, first_line
from lumina_eval.files import make_folder, said_clearly, sole_writer, write_atomic
from lumina_eval.records import Record, Sha256

#: Bytes of a line of ``keys.txt``.
LINE: Final = 65
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class Header(Record):
    """``extractor.json``."""

    extractor: Sha256
    width: int


class FeatureStore:
    """Rows of one extractor, by ``pixel_key``. Other processes may read, and add in turn."""

    def __init__(self, root: Path, extractor: str, width: int) -> None:
        """Open, or make, the store below ``root`` for an extractor's digest and width.

        Raises UserError where what lies there is of another extractor or width, or damaged.
        """
        if not _KEY.fullmatch(extractor) or width < 1:
            raise ValueError(f"expected a sha256 and a width, found {extractor!r} and {width}")
        self.folder = root / extractor[:16]
        self._rows, self._keys = self.folder / "rows.f32", self.folder / "keys.txt"
        self._width = width
        self._check_header(Header(extractor=extractor, width=width))
        self._places: dict[str, int] = {}
        self._read_keys()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def add(self, keys: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Append rows (N, width) and wait until they are on the disk; keys that are there are passed over.

        Raises ValueError for another shape or a key that is no sha256, UserError for a row with NaN or
        infinity (naming its key; nothing is added), a full disk, or another writer at work.
        """
        if rows.shape != (len(keys), self._width):
            raise ValueError(f"expected rows {(len(keys), self._width)}, found {rows.shape}")
        for key, row in zip(keys, rows, strict=True):
            if not _KEY.fullmatch(key):
                raise ValueError(f"expected a sha256 as key, found {key!r}")
            if not np.isfinite(row).all():
                raise UserError(
                    f"expected finite features, found NaN or infinity, for the image with sha256 {key}; "
                    "fix: remove that image, or look for a fault in the extractor's weights or precision"
                )
        with sole_writer(self.folder):
            self._read_keys()  # another process may have added some
            new = {key: place for place, key in enumerate(keys) if key not in self._places}
            if new:
                self._append(list(new), rows[list(new.values())])

    def rows(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows of ``keys`` in their order, (N, width); KeyError for one that is not there."""
        places = [self._places[key] for key in keys]
        if not places:
            return np.empty((0, self._width), dtype=np.float32)
        found: NDArray[np.float32] = self._mapped()[places].astype(np.float32, copy=False)
        return found

    def _mapped(self) -> np.memmap[tuple[int, int], np.dtype[np.float32]]:
        shape = (len(self._places), self._width)
        return np.memmap(self._rows, dtype="<f4", mode="r", shape=shape)

    def _append(self, keys: list[str], rows: NDArray[np.float32]) -> None:
        """Write rows, then their keys, each over whatever tail a kill has left."""
        lines = "".join(f"{key}\n" for key in keys).encode()
        count = len(self._places)
        for path, start, data in (
            (self._rows, count * self._width * 4, rows.astype("<f4").tobytes()),
            (self._keys, count * LINE, lines),
        ):
            with said_clearly(path), path.open("r+b" if path.exists() else "x+b") as stream:
                stream.truncate(start)
                stream.seek(start)
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        self._places.update((key, count + place) for place, key in enumerate(keys))

    def _read_keys(self) -> None:
        """Take in the keys that came since the last look, as far as their rows are there."""
        count = len(self._places)
        keys = _tail(self._keys, count * LINE)
        whole = min(len(keys) // LINE, _size(self._rows) // (4 * self._width) - count)
        for place in range(whole):
            line = keys[place * LINE : (place + 1) * LINE]
            key = line[:-1].decode("ascii", "replace")
            if not _KEY.fullmatch(key) or line[-1:] != b"\n":
                raise UserError(
                    f"expected a sha256 in line {count + place + 1} of {self._keys}, found {key!r}; "
                    f"fix: delete {self.folder}, its features are computed anew"
                )
            self._places[key] = count + place

    def _check_header(self, header: Header) -> None:
        path = self.folder / "extractor.json"
        try:
            found = Header.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            make_folder(self.folder)
            write_atomic(path, header.model_dump_json().encode() + b"\n")
            return
        except (OSError, ValidationError) as error:
            raise UserError(
                f"cannot read {path}: {first_line(error)}; fix: delete {self.folder}, its features are "
                "computed anew"
            ) from error
        if found != header:
            raise UserError(
                f"expected features of extractor {header.extractor} of width {header.width}, found "
                f"{found.extractor} of width {found.width}, in {self.folder}; fix: take another folder, or "
                "delete this one"
            )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _tail(path: Path, start: int) -> bytes:
    """Return what a file holds from byte ``start`` on; nothing if there is none."""
    if _size(path) <= start:
        return b""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read()
