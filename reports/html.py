"""The HTML renderer: one page that opens from disk and asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from lumina_eval.files import write_atomic
from reports.document import Document, document
from reports.pictures import data_uri
from reports.svg import in_page
from reports.table import Cell, Table

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
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda svg: Markup(in_page(svg))  # our own drawing, text escaped by it
    environment.filters["uri"] = data_uri
    environment.globals["bar"] = bar
    return environment.get_template("report.html.j2").render(document=content)


def html_table(table: Table) -> str:
    """Render one table, for other pages; its look comes from ``report.css``."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("reports"), autoescape=True)
    environment.globals["bar"] = bar
    module = environment.get_template("table.html.j2").module
    return str(module.table(table))  # type: ignore[attr-defined]


def bar(cell: Cell, scale: tuple[float, float] | None) -> list[tuple[str, float, float]]:
    """Return (name, left, width) of each interval and of the value, in percent of the table's scale.

    Intervals come with the widest first, so that narrower ones lie on top; the value has no width.
    """
    if scale is None or cell.value is None or not cell.intervals:
        return []
    low, high = scale

    def place(value: float) -> float:
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)

    spans = [(i.name, place(i.low), round(place(i.high) - place(i.low), 2)) for i in cell.intervals]
    return [*sorted(spans, key=lambda span: -span[2]), ("value", place(cell.value), 0.0)]
