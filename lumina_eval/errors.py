"""The errors that a person can act on, and the exit codes that a script reads.

A mistake of the user is a :class:`UserError`: it names what was expected, what was found, in which file, and
the way to mend it. The CLI prints the message without a traceback and ends with :attr:`ExitCode.USER`.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable


class ExitCode(enum.IntEnum):
    """What the process says when it ends."""

    OK = 0
    GATE_FAILED = 1
    USER = 2
    UNDECIDABLE = 3
    INCOMPLETE = 4
    FAULT = 70
    """What no message was written for (``EX_SOFTWARE``); Python's own 1 is a failed gate here."""
    INTERRUPTED = 130


class UserError(Exception):
    """A mistake that the user can mend; the message says how."""

    #: Any exception class with this attribute is shown as a message; plug-ins need not import ours.
    is_user_error = True


def is_user_error(error: BaseException) -> bool:
    """Tell whether ``error`` is for the user's eyes, whichever package it comes from."""
    return bool(getattr(error, "is_user_error", False))


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; the name of its class if it says nothing.

    >>> first_line(ValueError("one\\ntwo")), first_line(TimeoutError())
    ('one', 'TimeoutError')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def reason_of(error: BaseException) -> str:
    """Return the class of an error and the first line of what it says, for a list of failures.

    >>> reason_of(ValueError("one\\ntwo")), reason_of(TimeoutError())
    ('ValueError: one', 'TimeoutError')
    """
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a tail for a message: the names in ``known`` near to ``word``, or all of them.

    >>> nearest("genevel", ["geneval", "dpg"])
    'did you mean geneval?'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(names) or 'none'}"


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """Make the error for a name that nothing answers to."""
    return UserError(f"unknown {what} {name!r}; {nearest(name, known)}")
