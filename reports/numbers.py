"""How numbers are written: one place, so that a value and its interval always carry the same digits."""

from __future__ import annotations

import math
from typing import Final

from lumina_eval.units import digits as digits

#: Shown wherever a value is unknown. Never an empty cell, never a zero.
EM_DASH: Final = "—"


def fixed(value: float | None, places: int) -> str:
    """Write a number with a fixed count of digits; unknown or non-finite is an em dash."""
    if value is None or not math.isfinite(value):
        return EM_DASH
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def signed(value: float | None, places: int) -> str:
    """Write a difference with its sign."""
    text = fixed(value, places)
    return f"+{text}" if value is not None and value > 0 and text != EM_DASH else text


def p_value(p: float | None) -> str:
    """Write a p-value the way journals do: three digits, and never an exact zero."""
    if p is None or not math.isfinite(p):
        return EM_DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int | None) -> str:
    """Write a count with thin spaces between thousands."""
    return EM_DASH if number is None else f"{number:,}".replace(",", "\u202f")


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 image``, ``2 images``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """Write a share; 100 % is only written when nothing at all is missing."""
    if whole <= 0:
        return EM_DASH
    share = 100 * part / whole
    if part < whole:
        share = min(share, 99.9)
    return "100 %" if part == whole else f"{share:.1f} %"


def duration(seconds: float | None) -> str:
    """Write a duration in the largest unit that keeps two figures."""
    if seconds is None or not math.isfinite(seconds):
        return EM_DASH
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
