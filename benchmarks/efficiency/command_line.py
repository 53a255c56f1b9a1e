"""What the programs of this folder have in common on the command line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import ParamSpec

from lumina_eval.errors import ExitCode, UserError, is_user_error

P = ParamSpec("P")


def key_values(pairs: Iterable[str], option: str) -> dict[str, str]:
    """Return ``KEY=VALUE`` pairs as a mapping; UserError for one that is none."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UserError(f"expected {option} KEY=VALUE, found {pair!r}; fix: e.g. {option} steps=30")
        found[key] = value
    return found


def without_traceback(program: Callable[P, None]) -> Callable[P, None]:
    """Turn a user's mistake into a message and exit code 2, as ``lumina-eval`` does."""

    @functools.wraps(program)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            program(*args, **kwargs)
        except Exception as error:
            if not is_user_error(error):
                raise
            print(f"error: {error}", file=sys.stderr)
            sys.exit(ExitCode.USER)

    return told
