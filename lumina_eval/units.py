"""How numbers of a unit are written: the same in a terminal, a comparison and a report."""

from __future__ import annotations

from typing import Final

#: Digits after the point by unit: fractions (0 to 1) need three, percentages two, KID five.
DIGITS: Final = {"fraction": 3, "percent": 2, "squared_mmd": 5}


def digits(unit: str) -> int:
    """Digits after the decimal point for values of this unit."""
    return DIGITS.get(unit, 3)
