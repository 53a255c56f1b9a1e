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
