"""The code blocks of the documents as Sybil examples: each is executed, parsed, or text by its own word.

What stands in a block decides what is done with it:

- ``python`` is executed, one namespace for a document, in a folder of its own;
- ``toml`` and ``json`` must parse; ``text`` is text;
- a block without a language, or with ``sh``, whose lines begin with a program holds commands. Each must be
  one that the program itself accepts (:mod:`doc_commands`). A block of lines that begin with a brace is JSON;
  any other is text, such as what a command prints.

A comment in the line before a block says more:

- ``<!-- run -->`` executes its commands, in order, and they must end with exit code 0;
  ``<!-- run --no-mlflow -->`` does so with these words added;
- ``<!-- file: PATH -->`` makes a file of the block in the document's folder.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import doc_commands
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

FENCE = RawFencedCodeBlockLexer(re.compile(r"(?P<language>[^\n]*)\n"))
DIRECTIVE = re.compile(r"<!-- (run|file:)(.*) -->\n\Z")
SHELL = ("", "sh")
_python = PythonEvaluator()


def parse(path: Path) -> Document:
    """Return a document with an example for each of its code blocks."""
    return Document.parse(str(path), blocks, encoding="utf-8")


def blocks(document: Document) -> Iterator[Region]:
    """Yield the code blocks of a document with what is done to each."""
    for found in FENCE(document):
        language, source = found.lexemes["language"].strip(), found.lexemes["source"]
        before = DIRECTIVE.search(document.text[: found.start])
        word, rest = before.groups() if before else (None, "")
        evaluator = {
            "python": _python, "toml": _toml, "json": _json, "text": _text,
        }.get(language, _commands if language in SHELL else _unknown)  # fmt: skip
        region = Region(found.start, found.end, parsed=source, evaluator=evaluator)
        run, file = (rest.strip() if word == one else None for one in ("run", "file:"))
        region.lexemes.update(language=language, run=run, file=file)
        yield region


def mentions(path: Path) -> list[str]:
    """Return the commands of ours that stand within the sentences of a document."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"`((?:lumina-eval|lumina-model|nox)\s[^`]+)`", text)
    return [" ".join(command.split()) for command in found]


def evaluate(example: Example) -> None:
    """Make the block's file if it is one, then execute or parse the block."""
    if example.region.lexemes["file"]:
        file = Path(example.region.lexemes["file"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(example.parsed), encoding="utf-8")
    example.evaluate()


def _toml(example: Example) -> None:
    assert tomllib.loads(example.parsed)


def _json(example: Example) -> None:
    text, decoder = str(example.parsed).strip(), json.JSONDecoder()
    while text:
        _, end = decoder.raw_decode(text)
        text = text[end:].strip()


def _text(example: Example) -> None:
    pass


def _unknown(example: Example) -> None:
    raise ValueError(f"nothing is known to do with a block of {example.region.lexemes['language']!r}")


def _commands(example: Example) -> None:
    lines, added = doc_commands.lines_of(str(example.parsed)), example.region.lexemes["run"]
    if any(doc_commands.is_command(line) for line in lines):
        for line in lines:
            doc_commands.check(line)
            if added is not None or doc_commands.always_run(line):
                doc_commands.run(line, added or "")
    elif added is not None or example.region.lexemes["language"] == "sh":
        raise ValueError("expected commands, found none")
    elif str(example.parsed).startswith("{"):
        _json(example)
