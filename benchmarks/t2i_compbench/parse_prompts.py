"""Write the parse file of prompts: noun chunks and parts of speech by spaCy, as places in the text.

A program of its own, which imports nothing of this project, because the spaCy that the official scores were
made with (3.5.3 with en_core_web_sm 3.5.0) cannot share an environment with it: ``nox -s parses`` makes one.
It runs on Python 3.8 and newer. The file holds no text of a prompt, only its sha256 and character offsets:

    {"schema": 1, "spacy": "3.5.3", "model": "en_core_web_sm", "model_version": "3.5.0"}
    {"prompt_sha256": "5d40…", "chunks": [[0, 12], [17, 30]], "tokens": [[0, 1, "DET"], [2, 6, "ADJ"], …]}
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

#: The official ones (requirements.txt of Karine-Huang/T2I-CompBench at 1b709499).
MODEL = "en_core_web_sm"

#: Files that are read of a folder: the official test sets.
PATTERN = "*_val.txt"


def prompts_of(sources: Sequence[str]) -> Iterator[str]:
    """Yield each prompt once: of files, folders of ``*_val.txt`` and standard input ("-"), one a line."""
    seen = set()
    for text in _texts(sources):
        for line in text.splitlines():
            prompt = line.strip()
            if prompt and prompt not in seen:
                seen.add(prompt)
                yield prompt


def parse_line(prompt: str, doc: Any) -> str:
    """Return the line of one prompt from spaCy's document of it."""
    tokens = [[token.idx, token.idx + len(token.text), token.pos_] for token in doc]
    chunks = [[chunk.start_char, chunk.end_char] for chunk in doc.noun_chunks]
    digest = hashlib.sha256(prompt.encode("utf-8")).hexdigest()
    return json.dumps({"prompt_sha256": digest, "chunks": chunks, "tokens": tokens})


def head_line(version: str, meta: Any) -> str:
    """Return the first line: what the parses were made with."""
    name = "{}_{}".format(meta["lang"], meta["name"])
    return json.dumps({"schema": 1, "spacy": version, "model": name, "model_version": meta["version"]})


def write_whole(out: Path, lines: Iterable[str]) -> None:
    """Write the lines beside ``out`` and then rename, so that a killed run leaves no half file."""
    part = out.with_name(out.name + ".part")
    part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    os.replace(str(part), str(out))


def main(arguments: list[str] | None = None) -> int:
    """Parse the prompts; return the exit code: 0, or 2 for a mistake that the message names."""
    options = argparse.ArgumentParser(description="Parse prompts with spaCy into a parse file.")
    options.add_argument("prompts", nargs="+", help="text files, folders of *_val.txt, or - for stdin")
    options.add_argument("--out", required=True, type=Path, help="parse file to write, JSON lines")
    options.add_argument("--model", default=MODEL, help="spaCy pipeline, by name or folder")
    chosen = options.parse_args(arguments)
    try:
        import spacy
    except ImportError:
        return _mistake("expected spaCy in this environment, found none; fix: nox -s parses -- ARGUMENTS")
    try:
        prompts = list(prompts_of(chosen.prompts))
    except (OSError, UnicodeDecodeError) as error:
        return _mistake(f"cannot read the prompts: {error}")
    if not prompts:
        return _mistake("expected a prompt a line in {}, found none".format(", ".join(chosen.prompts)))
    try:
        nlp = spacy.load(chosen.model)
    except OSError as error:
        return _mistake(f"cannot load the spaCy pipeline {chosen.model!r}: {error}; fix: nox -s parses")
    lines = [head_line(spacy.__version__, nlp.meta)]
    lines += [parse_line(prompt, nlp(prompt)) for prompt in prompts]  # one by one, as the official scripts do
    write_whole(chosen.out, lines)
    print(f"{len(prompts)} prompts parsed into {chosen.out}", file=sys.stderr)
    return 0


def _texts(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        path = Path(source)
        if source == "-":
            yield sys.stdin.buffer.read().decode("utf-8")
        elif path.is_dir():
            files = sorted(path.glob(PATTERN))
            if not files:
                raise OSError(f"no {PATTERN} in folder {path}")
            for file in files:
                yield file.read_bytes().decode("utf-8")
        else:
            yield path.read_bytes().decode("utf-8")


def _mistake(message: str) -> int:
    print("error: " + message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
