"""JSON that others wrote, read with messages that name file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lumina_eval.errors import UserError

#: Letters of a broken line that are shown.
_SHOWN: Final = 30
#: How a message of ``json.JSONDecodeError`` begins, to what was expected in words.
_EXPECTED: Final = {
    "Expecting value": "a value",
    "Expecting ',' delimiter": "',' or the end of the list or object",
    "Expecting ':' delimiter": "':'",
    "Expecting property name": "a name in double quotes",
    "Illegal trailing comma": "no comma before the end",
    "Invalid control character": "no raw control character in a string",
    "Unexpected UTF-8 BOM": "no byte order mark, which utf-8-sig reads,",
    "Invalid \\": "an escape that JSON has",
    "Extra data": "nothing more",
}


def text_of(file: Path) -> str:
    """Return a file's text; raise UserError if it cannot be read or is no UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; fix: put a file of UTF-8 text there") from error


def objects_of(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and object of every line that is not blank; numbers begin with 1."""
    for number, line in enumerate(text_of(file).split("\n"), 1):
        if line.strip():
            yield number, object_of(line, f"{file}:{number}")


def object_of(text: str, where: str) -> dict[str, Any]:
    """Parse one JSON object; NaN and Infinity are no JSON. Raises UserError that begins with ``where``."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{where}: broken JSON: {expected_in(error)}; fix: write one whole JSON object there"
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {short(value)}; fix: write one, {{…}}")
    return value


def expected_in(error: ValueError | RecursionError) -> str:
    """Say what ``json.loads`` expected at which place, and what it found there.

    >>> try:
    ...     json.loads('[1 2]')
    ... except ValueError as error:
    ...     print(expected_in(error))
    expected ',' or the end of the list or object at column 4, found '2]'
    """
    if isinstance(error, RecursionError):
        return "expected JSON, found values nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    expected = next((said for msg, said in _EXPECTED.items() if error.msg.startswith(msg)), "JSON")
    if error.msg.startswith("Unterminated string"):  # it is placed where the string begins
        return f"expected the end of the string that begins at column {error.colno}, found the end"
    rest = error.doc[error.pos :].split("\n")[0]
    if not rest and error.msg.startswith("Invalid control character"):  # the line ends within the string
        expected = "the end of the string"
    found = (
        repr(rest[:_SHOWN]) if rest else "the end of the line" if error.pos < len(error.doc) else "the end"
    )
    return f"expected {expected} at column {error.colno}, found {found}"


def need(record: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """Return the value at a key; raise UserError unless it is of the kind: ``str``, ``list`` or ``dict``."""
    value = record.get(key)
    if not isinstance(value, kind):
        names: dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
        found, fix = (short(value), "write one there") if key in record else ("no such key", "add it")
        raise UserError(f"{where}: expected {names[kind]} for {key!r}, found {found}; fix: {fix}")
    return value


def short(value: Any) -> str:
    """Write a value for a message, cut to 60 characters."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number that JSON has")
