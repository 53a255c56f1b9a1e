"""``--rewrite FILE.jsonl``: texts that were made before, such as ``rewritten.jsonl`` of a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lumina_eval.errors import UserError
from lumina_eval.rewriting import no_text


class FileRewriter:
    """Looks the texts up; the digest of those used names them, not the file."""

    source: Literal["file"] = "file"
    template: str | None = None

    def __init__(self, file: Path, options: Mapping[str, str]) -> None:
        """Read the whole file.

        Raises UserError for a line that is no ``{"prompt": …, "rewritten": …}``, and for two texts of one
        prompt.
        """
        if options:
            raise UserError(
                f"expected no --rewrite-option with a file, found {', '.join(options)}; fix: leave them out, "
                "or give --rewrite endpoint:URL or transformers:DIR"
            )
        self.name, self._file = file.name, file
        self.settings: Mapping[str, Any] = {}
        self._texts = _read(file)

    def rewrite(self, prompts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield each prompt with its text; a prompt that the file lacks is a UserError naming it."""
        for prompt in prompts:
            if prompt not in self._texts:
                raise no_text(prompt, f"none, in {self._file}", "add a line with exactly this prompt")
            yield prompt, self._texts[prompt]


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {file}: {error}; fix: give --rewrite FILE.jsonl, endpoint:URL or transformers:DIR"
        ) from error
    texts: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        prompt, text = _pair(line, f"{file}:{number}")
        if texts.setdefault(prompt, text) != text:
            raise UserError(
                f"expected one text for prompt {prompt!r}, found another one, in {file}:{number}; "
                "fix: keep one of them"
            )
    return texts


def _pair(line: str, where: str) -> tuple[str, str]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    prompt, text = (value.get(key) if isinstance(value, dict) else None for key in ("prompt", "rewritten"))
    if not isinstance(prompt, str) or not isinstance(text, str) or not text.strip():
        raise UserError(
            f'expected {{"prompt": "…", "rewritten": "…"}} with a text in both, found {line[:80]!r}, '
            f"in {where}; fix: mend the line"
        )
    return prompt, text
