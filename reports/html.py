"""The HTML renderer: one page that opens from disk and asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from lumina_eval.files import write_atomic
from reports.document import Document, document
from reports.pictures import data_uri
from reports.renderers.html import environment as table_environment
from reports.svg import in_page

#: Name of the page within the output folder.
PAGE = "report.html"


def render(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    """Write ``report.html`` for run folders into folder ``out``; images come from ``store``.

    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    path = Path(out) / PAGE
    write_atomic(path, page(document(run_dirs, store)).encode())
    return [path]


def page(content: Document) -> str:
    """Return the whole page as text."""
    environment = table_environment()
    environment.filters["figure"] = lambda svg: Markup(in_page(svg))  # our own drawing, text escaped by it
    environment.filters["uri"] = data_uri
    return environment.get_template("report.html.j2").render(document=content)
