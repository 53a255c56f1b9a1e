"""Letters for the footnotes of a table, given out as they are needed."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator

from reports.table import Footnote


class Footnotes:
    """Gives each text a mark: a, b, … z, aa, ab, …; the same text has the same one."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        self._letters = _letters()

    def mark(self, text: str) -> str:
        """Return the mark of a text."""
        if text not in self._marks:
            self._marks[text] = next(self._letters)
        return self._marks[text]

    def all(self) -> tuple[Footnote, ...]:
        """Return all footnotes in the order of their marks."""
        return tuple(Footnote(mark, text) for text, mark in self._marks.items())


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        yield from ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=length))
