"""Prompt rewriting as a declared step: texts for the model in place of the prompts.

``--rewrite FILE.jsonl`` takes them from a file, ``endpoint:URL`` and ``transformers:DIR_OR_ID@REV`` ask a
language model with a template. Answers are kept as they come in ``OUT/rewritten/<source>-<digest16>.jsonl``,
named by template, model and settings, so that a prompt is rewritten once. The judge sees the original ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.files import append_lines, make_folder, sole_writer, valid_lines, write_lines
from lumina_eval.models.rewritten import RewrittenModel, outputs_digest, rewritten_lines
from lumina_eval.plugins import Model
from lumina_eval.progress import progress
from lumina_eval.records import Rewriting


class Rewriter(Protocol):
    """Gives each prompt another text."""

    @property
    def source(self) -> Literal["file", "endpoint", "transformers"]:
        """Which of the three kinds it is."""

    @property
    def name(self) -> str:
        """The file, or the language model with its revision."""

    @property
    def template(self) -> str | None:
        """Digest of the template."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All else that can change a text, as JSON values; with the model's digest or name."""

    def rewrite(self, prompts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield prompts with their texts as they come; UserError for a prompt that gets none."""


def open_rewriter(text: str, options: Mapping[str, str], device: str) -> Rewriter:
    """Return what ``--rewrite`` names; nothing is sent and no weight is loaded."""
    scheme, _, spec = text.partition(":")
    if scheme == "endpoint":
        from lumina_eval.rewriters.endpoint import EndpointRewriter

        return EndpointRewriter(spec, options)
    if scheme == "transformers":
        from lumina_eval.rewriters.language_model import LanguageModelRewriter

        return LanguageModelRewriter(spec, options, device)
    from lumina_eval.rewriters.file import FileRewriter

    return FileRewriter(Path(text), options)


def cache_file(rewriter: Rewriter, out: Path) -> Path | None:
    """Return where the texts of a language model are kept below ``out``; None for a file."""
    if rewriter.source == "file":
        return None
    digest = digest_of([rewriter.source, rewriter.template, dict(rewriter.settings)])
    return out / "rewritten" / f"{rewriter.source}-{digest[:16]}.jsonl"


def known_texts(rewriter: Rewriter, prompts: Sequence[str], out: Path) -> dict[str, str]:
    """Return the texts that are there without asking a language model."""
    cache = cache_file(rewriter, out)
    if cache is None:
        return dict(rewriter.rewrite(list(dict.fromkeys(prompts))))
    kept = {}
    for _, line in valid_lines(cache):
        if isinstance(line, dict) and isinstance(line.get("rewritten"), str):
            kept[line.get("prompt")] = line["rewritten"]
    return {prompt: kept[prompt] for prompt in prompts if prompt in kept}


def rewritten_texts(
    rewriter: Rewriter, prompts: Sequence[str], out: Path, console: Console
) -> dict[str, str]:
    """Return the text of every prompt, in order; what is not known is asked for and kept as it comes."""
    unique = list(dict.fromkeys(prompts))
    cache = cache_file(rewriter, out)
    if cache is None:
        return known_texts(rewriter, unique, out)
    with sole_writer(make_folder(cache.parent)):
        texts = known_texts(rewriter, unique, out)
        write_lines(cache, [line for line, _ in valid_lines(cache)])  # a torn tail would spoil what follows
        lacking = [prompt for prompt in unique if prompt not in texts]
        with progress(console, f"rewrite with {rewriter.name}", len(unique), len(texts)) as bar:
            for prompt, text in rewriter.rewrite(lacking) if lacking else ():
                append_lines(cache, rewritten_lines({prompt: text}))
                texts[prompt] = text
                bar(1)
    return {prompt: texts[prompt] for prompt in unique}


def apply(rewriter: Rewriter, texts: Mapping[str, str], models: Sequence[Model]) -> list[Model]:
    """Return the models behind the texts, with the record of where these come from."""
    rewriting = Rewriting(
        source=rewriter.source,
        name=rewriter.name,
        template=rewriter.template,
        settings=dict(rewriter.settings),
        outputs=outputs_digest(texts),
    )
    return [RewrittenModel(model, texts, rewriting) for model in models]


def no_text(prompt: str, why: str, fix: str) -> UserError:
    """Return the error for a prompt that got no text."""
    return UserError(f"expected a rewritten text for prompt {prompt!r}, found {why}; fix: {fix}")
