"""Parse files: noun chunks and parts of speech of prompts, made by spaCy in an environment of its own.

``parse_prompts.py`` writes them and says what is in them. A prompt is found by its sha256; places are offsets
in characters, so that the file holds no text of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.json_lines import need, objects_of, short
from lumina_eval.digests import sha256_bytes, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.records import Item

#: The command that writes a parse file.
COMMAND: Final = "nox -s parses -- PROMPTS --out FILE"

_HEAD: Final = ("spacy", "model", "model_version")


class Parse(NamedTuple):
    """What spaCy says of one prompt."""

    chunks: list[str]
    """All noun chunks in order, as they stand in the prompt."""
    tokens: list[list[str]]
    """All words, each [text, coarse part of speech]."""


@dataclass(frozen=True)
class Parses:
    """A parse file: what it was made with, and the offsets for each prompt."""

    file: Path
    digest: str
    made_with: Mapping[str, str]
    """``spacy``, ``model`` and ``model_version``."""
    rows: Mapping[str, tuple[int, Mapping[str, Any]]]
    """Sha256 of a prompt to its line number and its line."""

    @property
    def settings(self) -> dict[str, str]:
        """Return what a judge that read the file says of it, as JSON values."""
        return {"sha256": self.digest, **self.made_with}

    def of(self, item: Item) -> Parse:
        """Return the parse of an item's prompt.

        Raises UserError if there is none, or if it was made of another text.
        """
        self.check([item])
        number, row = self.rows[_key(item)]
        where = f"{self.file}:{number}"
        chunks = [_cut(item, span, f"{where}: chunks[{n}]") for n, span in enumerate(row["chunks"])]
        tokens = [
            [_cut(item, span[:2], f"{where}: tokens[{n}]"), span[2]] for n, span in enumerate(row["tokens"])
        ]
        return Parse(chunks, tokens)

    def check(self, items: Iterable[Item]) -> None:
        """Raise UserError, with their ids, if the prompts of some items have no parse."""
        absent = [item.id for item in items if _key(item) not in self.rows]
        if absent:
            more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
            raise UserError(
                f"expected a parse of every prompt in {self.file}, found none for item "
                f"{', '.join(absent[:3])}{more}; fix: {COMMAND}"
            )


def read_parses(file: Path) -> Parses:
    """Read and check a parse file; whether the offsets fit is seen when a prompt is looked up.

    Raises UserError for whatever is wrong, with file and line.
    """
    made_with: dict[str, str] | None = None
    rows: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for number, record in objects_of(file):
        where = f"{file}:{number}"
        if made_with is None:
            made_with = _head(record, where)
            continue
        key = need(record, "prompt_sha256", str, where)
        if not re.fullmatch(r"[0-9a-f]{64}", key):
            raise UserError(
                f"{where}: expected 64 hex digits for 'prompt_sha256', found {short(key)}; fix: {COMMAND}"
            )
        if key in rows:
            raise UserError(
                f"{where}: the prompt of this sha256 stands already in line {rows[key][0]}; "
                "fix: keep one parse of each prompt"
            )
        _check_spans(record, where)
        rows[key] = (number, record)
    if made_with is None:
        raise UserError(f"expected a parse file, found nothing in it, in {file}; fix: {COMMAND}")
    return Parses(file, sha256_file(file), made_with, rows)


def _head(record: Mapping[str, Any], where: str) -> dict[str, str]:
    if record.get("schema") != 1:
        raise UserError(
            f'{where}: expected a first line with "schema": 1, spacy, model and model_version, '
            f"found {short(record)}; fix: {COMMAND}"
        )
    return {name: need(record, name, str, where) for name in _HEAD}


def _check_spans(record: Mapping[str, Any], where: str) -> None:
    """Check that chunks are [start, end] and tokens [start, end, pos], in the order of the text."""
    for key, length in (("chunks", 2), ("tokens", 3)):
        last = 0
        for place, span in enumerate(need(record, key, list, where)):
            wanted = "[start, end]" if length == 2 else "[start, end, part of speech]"
            if not (
                isinstance(span, list)
                and len(span) == length
                and all(type(offset) is int for offset in span[:2])
                and all(isinstance(pos, str) for pos in span[2:])
            ):
                raise UserError(
                    f"{where}: {key}[{place}]: expected {wanted}, found {short(span)}; fix: {COMMAND}"
                )
            if not last <= span[0] < span[1]:
                raise UserError(
                    f"{where}: {key}[{place}]: expected offsets that rise from {last}, found {short(span)}; "
                    f"fix: {COMMAND}"
                )
            last = span[1]


def _cut(item: Item, span: Sequence[int], where: str) -> str:
    start, end = span
    if end > len(item.prompt):
        raise UserError(
            f"{where}: expected offsets up to {len(item.prompt)}, the length of the prompt of {item.id}, "
            f"found {short(list(span))}; fix: {COMMAND}"
        )
    return item.prompt[start:end]


def _key(item: Item) -> str:
    return sha256_bytes(item.prompt.encode())
