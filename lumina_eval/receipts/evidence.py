"""The lines of a receipt as records, and whether they are those of the run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import reason_of
from lumina_eval.receipts.findings import Finding
from lumina_eval.receipts.record import Packed, Receipt
from lumina_eval.records import ImageRef, Item, Record, Verdict

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Evidence:
    """The lines of a receipt as records; None where they are not at hand or cannot be read."""

    items: list[Item] | None
    plan: list[ImageRef] | None
    verdicts: list[Verdict] | None
    texts: dict[str, str] | None = None
    """Prompt to the text that the model was given in its place; None where it was given the prompt."""


def unpack(receipt: Receipt, folder: Path) -> tuple[Evidence, list[Finding]]:
    """Read the lines of a receipt that lies in ``folder``; return them with a finding for each part."""
    found: list[Finding] = []

    def lines(name: str, part: Packed, kind: type[R]) -> list[R] | None:
        values = _values(name, part, folder, found)
        if values is None:
            return None
        try:
            return [kind.model_validate(value) for value in values]
        except ValueError as error:
            found.append(Finding(name, "FAIL", f"a line is no {kind.__name__}: {reason_of(error)}"))
            return None

    items = lines("items", receipt.items, Item)
    plan = lines("plan", receipt.plan, ImageRef)
    verdicts = lines("verdicts", receipt.verdicts, Verdict)
    return Evidence(items, plan, verdicts, _texts(receipt, folder, found)), found


def _values(name: str, part: Packed, folder: Path, found: list[Finding]) -> list[Any] | None:
    """Return the lines of a part as JSON values, and append what is to be said of them."""
    try:
        data = part.read(folder)
    except OSError as error:
        where = folder / str(part.file)
        found.append(Finding(name, "UNCHECKED", f"cannot read {where}: {error.strerror}; put it beside"))
        return None
    except ValueError as error:
        found.append(Finding(name, "FAIL", f"the lines {error}"))
        return None
    try:
        values = [_value(line) for line in data.decode().split("\n") if line]
    except (ValueError, RecursionError) as error:
        found.append(Finding(name, "FAIL", f"a line is no JSON: {reason_of(error)}"))
        return None
    if sha256_bytes(data) == part.sha256:
        found.append(Finding(name, "PASS", f"{len(values)} lines, unaltered"))
    else:
        found.append(Finding(name, "FAIL", f"altered: {len(values)} lines, not those of the run"))
    return values


def _value(line: str) -> Any:
    """Return a line's value; ValueError where an escape in it stands for no character."""
    value = json.loads(line)
    if "\\ud" in line.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _texts(receipt: Receipt, folder: Path, found: list[Finding]) -> dict[str, str] | None:
    stated = receipt.manifest.rewriting
    if receipt.rewritten is None:
        if stated is not None:
            found.append(Finding("rewritten", "FAIL", "the run names rewritten texts, there are none"))
        return None
    values = _values("rewritten", receipt.rewritten, folder, found)
    if values is None:
        return None
    if stated is None or stated.outputs != receipt.rewritten.sha256:
        found.append(Finding("rewritten", "FAIL", "the texts are not those that the run names"))
    try:
        return {str(value["prompt"]): str(value["rewritten"]) for value in values}
    except (KeyError, TypeError) as error:
        found.append(Finding("rewritten", "FAIL", f"a line is no rewritten prompt: {reason_of(error)}"))
        return None
