"""The report as Markdown: the same for a repository, with its figures and images as files beside it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.files import write_atomic
from reports.document import Document, Section, document
from reports.gallery import Picture, TaskGallery
from reports.pictures import beside, together
from reports.renderers.markdown import escape, markdown_table
from reports.svg import in_file
from reports.table import Table

#: Name of the document within the output folder, and of the folder for its figures.
PAGE: Final = "report.md"
FIGURES: Final = "report-figures"


def render(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    """Write ``report.md`` and the folder of its figures into folder ``out``; images come from ``store``.

    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    text, figures = page(document(run_dirs, store))
    out = Path(out)
    for name, data in figures.items():
        write_atomic(out / name, data)
    write_atomic(out / PAGE, text.encode())
    return [out / PAGE, *([out / FIGURES] if figures else [])]


def page(content: Document) -> tuple[str, dict[str, bytes]]:
    """Return the document, and the files that it shows by their relative names."""
    figures: dict[str, bytes] = {}
    blocks = [f"# {escape(content.title)}"]
    for section in content.sections:
        blocks += _section(section, figures, alone=len(content.sections) == 1)
    return "\n\n".join(blocks) + "\n", figures


def _section(section: Section, figures: dict[str, bytes], *, alone: bool) -> list[str]:
    blocks = [] if alone else [f"## {escape(section.title)}"]
    blocks.append(
        " · ".join(f"**{escape(t)}**" if kind == "warn" else escape(t) for kind, t in section.badges)
    )
    blocks.append(escape(section.lead))
    if section.warnings:
        blocks.append("\n".join(f"> - {escape(text)}" for text in section.warnings))
    blocks.append(markdown_table(section.overview))
    if section.curve:
        blocks.append(_figure("Score over training steps", f"{section.anchor}-steps", section.curve, figures))
    blocks += [_further(table) for table in section.paired[:1]]
    if section.parts:
        title = section.group.parts_by.capitalize()
        blocks.append(f"### {title}")
        if section.categories:
            blocks.append(_figure(title, f"{section.anchor}-categories", section.categories, figures))
        blocks += [_further(table) for table in (*section.parts, *section.paired[1:])]
    if section.claims:
        blocks += ["### What these numbers may claim", escape(section.claims)]
    if section.galleries:
        blocks.append("### Images")
        for gallery in section.galleries:
            blocks += _gallery(section, gallery, figures)
    blocks += [
        "### How to reproduce these numbers",
        *(f"```sh\n{line}\n```" for line in section.recipe.commands),
    ]
    for facts in (section.recipe.shared, *section.recipe.own):
        if facts.pairs:
            lines = [f"- {escape(name)}: {escape(value)}" for name, value in facts.pairs]
            blocks.append("\n".join([f"**{escape(facts.title)}**", "", *lines]))
    return blocks


def _further(table: Table) -> str:
    """A table below the first one of its section, which has said where the numbers come from."""
    return markdown_table(dataclasses.replace(table, provenance=()))


def _figure(title: str, name: str, svg: str, figures: dict[str, bytes]) -> str:
    path = f"{FIGURES}/{name}.svg"
    figures[path] = in_file(svg).encode()
    return f"![{title}]({path})"


def _gallery(section: Section, gallery: TaskGallery, figures: dict[str, bytes]) -> list[str]:
    blocks = [f"#### {escape(gallery.task.replace('_', ' '))}"]
    task = re.sub(r"[^a-z0-9]+", "-", gallery.task.lower())
    for place, strip in enumerate(gallery.strips, 1):
        path = f"{FIGURES}/{section.anchor}-{task}-{place}.png"
        figures[path] = beside([together(picture.image, picture.marks) for picture in strip.pictures])
        title = f"{strip.label}: {strip.right} of {strip.total} {strip.words[0]}"
        captions = (f"{n}. {_caption(picture)}" for n, picture in enumerate(strip.pictures, 1))
        blocks += [f"**{escape(title)}**", f"![{escape(title)}]({path})", "\n".join(captions)]
    return blocks


def _caption(picture: Picture) -> str:
    mark = "✓" if picture.right else "✗"
    reason = f": {escape(picture.reason)}" if picture.reason else ""
    return f"{escape(picture.prompt)} {mark} {picture.verdict}{reason}"
