"""Names and prompts come from anywhere: what is shown of them for people, whatever the markup.

Nothing here escapes markup, which each renderer does for its own. A character that would change what stands
beside it (a control character, a turn of the writing direction) is shown by its code instead.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Longest text that a cell or a column's head shows, in characters; where it is cut, an ellipsis stands.
LONGEST: Final = 60
#: Longest line above a table and below it.
LONGEST_LINE: Final = 1000

#: Format characters that turn the writing direction of what follows (Unicode Annex 9).
_TURNS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Return ``text`` in one line, with ``[U+202E]`` for what would not be seen and yet do something.

    >>> visible("two\\nlines\\x07")
    'two lines[U+0007]'
    """
    line = re.sub(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text).replace("\t", " ")
    return "".join(code(sign) if _hidden(sign) else sign for sign in line)


def short(text: str, longest: int = LONGEST) -> str:
    """Return :func:`visible` text, cut to ``longest`` characters with an ellipsis as the last one.

    >>> short("a long name", 6)
    'a lon…'
    """
    # Cut before the codes are written, so that no code is cut in two.
    whole = (re.sub(r"\s+", " ", text) if len(text) > longest else text).strip()
    return visible(whole) if len(whole) <= longest else visible(whole[: longest - 1].rstrip()) + "…"


def is_cut(text: str, longest: int = LONGEST) -> bool:
    """Tell whether :func:`short` leaves something out."""
    return short(text, longest) != visible(text).strip()


def line(text: str) -> str:
    """Return a caption, a note or a section's title: :func:`short`, yet long enough for sentences."""
    return short(text, LONGEST_LINE)


def code(sign: str) -> str:
    """Return a character's code point, as in ``[U+4E2D]``."""
    return f"[U+{ord(sign):04X}]"


def _hidden(sign: str) -> bool:
    return sign in _TURNS or unicodedata.category(sign) in ("Cc", "Cs")
