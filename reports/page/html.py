"""The HTML renderer: one page that opens from disk and asks nothing of any network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from lumina_eval.files import write_atomic
from reports.document import Document, Section, document
from reports.page.across import across
from reports.page.bar_chart import categories, legend
from reports.page.charts import Chart
from reports.page.curve_chart import Curves, curves
from reports.page.library import chart_library
from reports.page.manifests import Download, manifests
from reports.page.wall import Wall, wall
from reports.plain_text import short, visible
from reports.renderers.html import environment
from reports.stored import StoredImages
from reports.svg import in_page

#: Name of the page within the output folder.
PAGE: Final = "report.html"

#: Warnings that are spelled out above the table; the gravest come first, the others unfold.
SHOWN_WARNINGS: Final = 2

#: What the choices of rows are called.
SETS: Final = {
    "sample": "a balanced sample",
    "lowest": "lowest prompts",
    "gains": "largest gains",
    "losses": "largest losses",
    "failed": "failed",
}


def render(run_dirs: Sequence[Path], out: Path, store: Path, gallery: int | None = None) -> list[Path]:
    """Write ``report.html`` for run folders into folder ``out``; images come from ``store``.

    ``gallery`` is the number of images a checkpoint: None for six of each task, 0 for all.
    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    path = Path(out) / PAGE
    write_atomic(path, page(document(run_dirs, None), StoredImages(store), gallery).encode())
    return [path]


@dataclasses.dataclass(frozen=True)
class View:
    """A section with what only a page has: charts that answer, every shown image, files to take along."""

    section: Section
    curves: Curves | None
    bars: tuple[Chart, ...]
    legend: tuple[tuple[str, str], ...]
    wall: Wall
    downloads: tuple[Download, ...]
    warnings: tuple[str, ...]


def page(content: Document, stored: StoredImages, gallery: int | None = None) -> str:
    """Return the whole page as text."""
    views = [_view(section, stored, gallery) for section in content.sections]
    drawn = any(view.curves or view.bars for view in views)
    found = environment()
    base = found.loader
    assert base is not None
    found.loader = jinja2.ChoiceLoader([jinja2.PackageLoader("reports.page"), base])
    found.filters["figure"] = lambda svg: Markup(in_page(svg))  # our own drawing, text escaped by it
    found.filters |= {"json": in_script, "visible": visible, "short": short}
    found.globals["script"] = _script
    return found.get_template("page.html.j2").render(
        title=content.title,
        views=views,
        across=across(content.sections),
        set_names=SETS,
        shown_warnings=SHOWN_WARNINGS,
        library=Markup(chart_library()) if drawn else None,
    )


def in_script(value: Any) -> Markup:
    """Return a JSON value so that it can stand in a ``<script>`` element whatever its texts say.

    ``<`` is written by its number: no tag and no comment can begin in it.
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _view(section: Section, stored: StoredImages, gallery: int | None) -> View:
    shown = wall(section.group, stored, gallery)
    warnings = section.warnings
    if shown.rows and not shown.shown:
        warnings = (
            *warnings,
            "None of the judged images is in the image store; places say which file is gone.",
        )
    return View(
        section,
        curves(section.group),
        categories(section.group),
        legend(section.group),
        shown,
        manifests(section.group),
        warnings,
    )


def _script(name: str) -> Markup:
    return Markup((resources.files("reports.page") / "scripts" / name).read_text(encoding="utf-8"))
