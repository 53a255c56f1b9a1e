"""Images of a dataset, by the ``datasets`` library: a parquet file, or a pinned revision of a published one.

They are streamed, so a set larger than the disk can be a reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from PIL import Image

from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: What an address begins with.
SCHEME: Final = "datasets:"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the images are."""

    source: str
    """A parquet file, or ``OWNER/NAME``."""
    revision: str | None
    """None for a file."""
    split: str
    column: str | None
    """None for the only column of images."""

    @property
    def digest(self) -> str:
        """Of a file's content, or of name and revision."""
        content = sha256_file(Path(self.source)) if self.revision is None else self.revision
        return digest_of([self.source if self.revision else "", content, self.split, self.column])


def place_of(address: str) -> Place:
    """Read ``datasets:FILE.parquet[:COLUMN]`` or ``datasets:OWNER/NAME@REVISION[:SPLIT[:COLUMN]]``.

    Raises UserError for anything else: a file that is not there, a name without a revision.
    """
    head, *rest = address.removeprefix(SCHEME).split(":")
    if head.endswith(".parquet"):
        if not Path(head).is_file():
            raise UserError(f"expected a parquet file of images, found none at {head}; fix: name one")
        return Place(head, None, "train", *_filled(rest, 1, address))
    name, _, revision = head.partition("@")
    if name.count("/") != 1 or not revision:
        raise UserError(
            f"expected {SCHEME}FILE.parquet or {SCHEME}OWNER/NAME@REVISION, found {address!r}; "
            "fix: name a file, or a dataset with @ and a commit"
        )
    split, column = _filled(rest, 2, address)
    return Place(name, revision, split or "train", column)


def images_of(place: Place) -> Iterator[Image.Image]:
    """Yield the images in RGB, in the order of the dataset.

    Raises UserError if it cannot be had, or if it has no column of images, or several and none is named.
    """
    import datasets

    try:
        if place.revision is None:
            rows = datasets.load_dataset("parquet", data_files=place.source, split="train", streaming=True)
        else:
            rows = datasets.load_dataset(
                place.source, revision=place.revision, split=place.split, streaming=True
            )
        column = _column(rows, place)
        for row in rows.select_columns([column]):
            yield row[column].convert("RGB")
    except UserError:
        raise
    except Exception as error:  # the library has many ways to fail, all of them the user's to mend
        raise UserError(
            f"cannot read images of {place.source}: {first_line(error)}; fix: look whether file, revision "
            "and split are there, and whether the network is"
        ) from error


def _column(rows: Any, place: Place) -> str:
    import datasets

    features = rows.features or {}
    found = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    if place.column is not None and place.column in found:
        return place.column
    if place.column is None and len(found) == 1:
        return str(found[0])
    raise UserError(
        f"expected {'one column of images' if place.column is None else f'images in {place.column}'}, found "
        f"{', '.join(found) or 'none'} among {', '.join(features) or 'no columns'}, in {place.source}; "
        "fix: name the column after a colon"
    )


def _filled(rest: list[str], count: int, address: str) -> list[str | None]:
    if len(rest) > count:
        raise UserError(
            f"expected at most {count} names after a colon, found {address!r}; fix: leave some out"
        )
    return [text or None for text in rest] + [None] * (count - len(rest))
