"""What a rule says of a verdict that lacks what it reads."""

from __future__ import annotations


class MissingValueError(ValueError):
    """A rule needs a value that the verdict holds as null or not at all."""

    def __init__(self, place: str, wanted: str, of_what: str | None = None, found: str = "null") -> None:
        super().__init__(f"expected {wanted} at {place}{f' ({of_what!r})' if of_what else ''}, found {found}")
