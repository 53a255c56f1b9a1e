"""Failures for people: alike ones are told once, with their number."""

from __future__ import annotations

import re
from collections.abc import Iterable


def grouped(texts: Iterable[tuple[str, str]], shown: int) -> list[str]:
    """Return one line for each of the first ``shown`` kinds of failure, in order of first appearance.

    ``texts`` are (place, reason). Reasons that differ in words with a digit alone (a request's id, a number)
    are of one kind; the first place and reason stand for it, and ``… and 21 more`` for the others.
    """
    kinds: dict[str, list[str]] = {}
    for place, reason in texts:
        kinds.setdefault(re.sub(r"\S*\d\S*", "#", reason), []).append(f"{place}: {reason}")
    lines = [
        first if not others else f"{first} … and {len(others)} more"
        for first, *others in list(kinds.values())[:shown]
    ]
    if len(kinds) > shown:
        lines.append(f"… and {len(kinds) - shown} other kinds of failure")
    return lines
