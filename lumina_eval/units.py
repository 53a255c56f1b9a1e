"""How numbers of a unit are written: the same in a terminal, a comparison and a report."""

from __future__ import annotations

from typing import Final

#: Digits after the point by unit: fractions (0 to 1) need three, percentages two, KID five.
DIGITS: Final = {
    "fraction": 3, "percent": 2, "squared_mmd": 5,
    "images/s": 2, "images": 0, "evaluations": 0, "GFLOP": 1, "GiB": 2, "joules": 1,
}  # fmt: skip
#: What is paid for an image: less is better, and there is no score behind it.
COSTS: Final = frozenset({"seconds", "evaluations", "GFLOP", "GiB", "joules"})


def digits(unit: str) -> int:
    """Digits after the decimal point for values of this unit."""
    return DIGITS.get(unit, 3)


def span(seconds: float) -> str:
    """Return a time for people.

    >>> span(8), span(400), span(9000)
    ('8 seconds', '7 minutes', '2.5 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
