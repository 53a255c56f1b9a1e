"""Values of a row as a battle needs them. A value that is none is a ValueError which says what was found."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.json_lines import short

#: Words for the outcome, in lower case, of the arenas that are read: FastChat's winners and raw votes,
#: LMArena's.
WORDS: Final = {
    **dict.fromkeys(("model_a", "leftvote", "left", "a", "win", "1", "1.0"), 1.0),
    **dict.fromkeys(("model_b", "rightvote", "right", "b", "loss", "0", "0.0"), 0.0),
    **dict.fromkeys(("tie", "tievote", "draw", "tie (bothbad)", "tie (both bad)", "0.5"), 0.5),
    **dict.fromkeys(("both_bad", "bothbad", "bothbad_vote", "both bad"), 0.5),
}


def outcome_of(value: Any, model_a: str = "", model_b: str = "") -> float:
    """Return the outcome that a word, a number from 0 to 1, or the winner's own name means."""
    if isinstance(value, str):
        word = value.strip()
        if word.lower() in WORDS:
            return WORDS[word.lower()]
        if word and word in (model_a, model_b):
            return 1.0 if word == model_a else 0.0
        try:
            value = float(word)
        except ValueError:
            raise ValueError(
                f"expected an outcome (model_a, model_b, tie, both_bad, or 0 to 1), found {short(word)}"
            ) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"expected an outcome from 0 to 1, found {short(value)}")
    return float(value)


def name_of(value: Any, what: str) -> str:
    """Return a name; a number is a name too."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f"expected a name for {what}, found {short(value)}")
    return str(value).strip()


def text_or_none(value: Any) -> str | None:
    """Return a text; what is empty or not there is None."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)


def number_of(value: Any, what: str) -> float:
    """Return a finite number, also from text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"expected a number for {what}, found {short(value)}")
    return found


def time_of(value: Any) -> float | None:
    """Return seconds since 1970 from a number, a date in ISO 8601 (UTC if it names no zone), or nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        try:
            return time_of(datetime.fromisoformat(value))
        except ValueError:
            pass
    return number_of(value, "the time")
