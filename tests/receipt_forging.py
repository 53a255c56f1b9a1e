"""Receipts changed as someone would who knows how they are made."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.digests import sha256_bytes
from lumina_eval.receipts.record import digest_of_fields

Change = Callable[[dict[str, Any]], object]


def altered(path: Path, change: Change, seal: bool = True) -> Path:
    """Write a changed receipt beside, sealed with a digest that fits; return its path."""
    value = json.loads(path.read_text())
    change(value)
    if seal:
        value["digest"] = digest_of_fields(value)
    other = path.with_name("altered.json")
    other.write_text(json.dumps(value))
    return other


def repack(part: dict[str, Any], lines: bytes, honest: bool = True) -> None:
    """Put other lines into a part."""
    part["data"] = base64.b64encode(zlib.compress(lines)).decode()
    part["size"] = len(lines)
    if honest:
        part["sha256"] = sha256_bytes(lines)


def unpacked(part: dict[str, Any]) -> bytes:
    """Return the lines of a part."""
    return zlib.decompress(base64.b64decode(part["data"]))


def lines_of(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the values of a part's lines."""
    return [json.loads(line) for line in unpacked(part).decode().splitlines()]


def put_lines(part: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Put other values into a part, honestly digested."""
    repack(part, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def states(call: Callable[..., Any], *words: object) -> dict[str, str]:
    """Check a receipt; return what was found by name, the gravest where a name stands twice."""
    found: dict[str, str] = {}
    order = ("PASS", "NOTE", "UNCHECKED", "ABSENT", "FAIL")
    for row in call("receipt", "check", *words, "--json").records[0]["findings"]:
        before = found.get(row["what"], "PASS")
        found[row["what"]] = max(before, row["state"], key=order.index)
    return found
