"""The template that asks a language model to rewrite a prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import UserError

PLACE: Final = "{prompt}"


@dataclasses.dataclass(frozen=True)
class Template:
    """A text with one ``{prompt}`` in it; other braces mean nothing."""

    text: str

    @property
    def digest(self) -> str:
        """Sha256 of the text."""
        return sha256_bytes(self.text.encode())

    def filled(self, prompt: str) -> str:
        """Return the question to the language model."""
        return self.text.replace(PLACE, prompt)


def read_template(options: Mapping[str, str], rewriter: str) -> Template:
    """Return the template of ``--rewrite-option template=FILE``; a UserError if it has no place to fill."""
    name = options.get("template")
    if not name:
        raise UserError(
            f"expected a template that asks for another text, found none, for --rewrite {rewriter}; "
            f"fix: add --rewrite-option template=FILE, a text file with {PLACE} in it"
        )
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read template {name}: {error}; fix: give a text file in UTF-8") from error
    if text.count(PLACE) != 1:
        raise UserError(
            f"expected {PLACE} once, found it {text.count(PLACE)} times, in template {name}; "
            f"fix: write {PLACE} where the prompt belongs"
        )
    return Template(text)
