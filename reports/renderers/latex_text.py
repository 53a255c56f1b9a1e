r"""Any text as LaTeX that every engine prints: the result is ASCII.

A paper is mostly made with pdflatex, whose fonts have the Latin letters alone. So an accented letter becomes
its accent command, a sign that LaTeX has a command for becomes that, and any other character stands there as
its code, ``[U+4E2D]``: seen, and breaking nothing. The CSV and JSON files have the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from reports.plain_text import code

#: Characters with a meaning in LaTeX, and signs that have a command.
SIGNS: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # Behind the end of a row a bracket would open an optional argument, a star would be taken as its form.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "—": "---",
    "–": "--",
    "−": r"\textminus{}",
    "±": r"\textpm{}",
    "×": r"\texttimes{}",
    "·": r"\textperiodcentered{}",
    "°": r"\textdegree{}",
    "µ": r"\textmu{}",
    "€": r"\texteuro{}",
    "£": r"\pounds{}",
    "§": r"\S{}",
    "…": r"\ldots{}",
    "→": r"\textrightarrow{}",
    "←": r"\textleftarrow{}",
    "↑": r"\textuparrow{}",
    "↓": r"\textdownarrow{}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "≈": r"\ensuremath{\approx}",
    "√": r"\ensuremath{\surd}",
    "∞": r"\ensuremath{\infty}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "“": "``",
    "”": "''",
    "‘": "{`}",
    "’": "{'}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "\u00a0": "~",
    "\u202f": r"\,",
    "\n": " ",
    "\t": " ",
}
#: Greek letters that have a command of their own name in mathematics.
GREEK: Final = {
    sign: rf"\ensuremath{{\{name}}}"
    for signs, names in (
        ("αβγδεζηθικλμνξπρστυφχψω", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu "
         "xi pi rho sigma tau upsilon phi chi psi omega"),
        ("ΓΔΘΛΞΠΣΥΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"),
    )
    for sign, name in zip(signs, names.split(), strict=True)
}  # fmt: skip
#: Combining characters and their accent commands, those that every text font has.
ACCENTS: Final = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": ".",
    "\u0306": "u", "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d",
}  # fmt: skip
#: Pairs of signs that a font would join into another one.
_JOINED: Final = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)|(?<=[?!])(?=`)")


def escape(text: str) -> str:
    """Return ``text`` so that LaTeX prints it as it stands, one character at a time (no double escaping).

    >>> escape("50% of naïve 中")
    '50\\\\% of na\\\\"{i}ve {\\\\scriptsize{[}U+4E2D{]}}'
    """
    return "".join(_sign(sign) for sign in _JOINED.sub("\0", unicodedata.normalize("NFC", text)))


def _sign(sign: str) -> str:
    if sign == "\0":
        return "{}"
    if sign in SIGNS or sign in GREEK:
        return SIGNS.get(sign) or GREEK[sign]
    if sign.isascii() and sign.isprintable():
        return sign
    parts = unicodedata.normalize("NFD", sign)
    if len(parts) == 2 and parts[1] in ACCENTS and parts[0].isascii() and parts[0].isalpha():
        return rf"\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return rf"{{\scriptsize{''.join(SIGNS.get(part, part) for part in code(sign))}}}"
