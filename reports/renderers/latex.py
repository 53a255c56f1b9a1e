"""A table as LaTeX: booktabs, everything escaped, as wide as the text at most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from lumina_eval.files import write_atomic
from reports.document import document
from reports.plain_text import line, short
from reports.renderers.below import below
from reports.renderers.latex_text import escape
from reports.table import Cell, Column, Row, Table

ARROWS: Final = {"higher": r"\,$\uparrow$", "lower": r"\,$\downarrow$", None: ""}

#: Name of the file within the output folder.
PAGE: Final = "report.tex"
PREAMBLE: Final = r"% needs \usepackage{booktabs,graphicx,rotating,textcomp}"

#: From this many columns on a table is set small and tight.
WIDE: Final = 8
#: From this many columns on a table is turned: in the width of a page its letters would be 4 pt high.
TURNED: Final = 10
#: Makes a box smaller that is wider than the page; beside a caption, one that is too high when turned.
_AS_WIDE: Final = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_AS_HIGH: Final = r"\resizebox*{!}{\ifdim\totalheight>\highest\highest\else\totalheight\fi}{%"


def render(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    """Write all tables of a report to ``report.tex`` in folder ``out``; a paper inputs it or copies from it.

    Raises :class:`lumina_eval.errors.UserError` for a broken run folder or an unwritable ``out``.
    """
    sections = document(run_dirs, None).sections
    tables = [
        latex_table(table, f"tab:{section.anchor}-{place}")
        for section in sections
        for place, table in enumerate(section.tables(), 1)
    ]
    path = Path(out) / PAGE
    write_atomic(path, "\n".join([PREAMBLE, *tables]).encode())
    return [path]


def latex_table(table: Table, label: str = "") -> str:
    r"""Render as a ``table`` float; needs the packages of :data:`PREAMBLE`.

    Each interval of a row stands on a line of its own below the values, named at the left, so that the table
    stays narrow enough for a column. One of many columns takes a page of its own, turned, and its notes a
    float behind it. One that is wider than the text even so is made smaller to fit it. The best of a column
    is bold, the second underlined.
    """
    turned = len(table.columns) >= TURNED
    align = "".join("r" if column.numeric else "l" for column in table.columns)
    names = table.interval_names()
    lines = [
        *_begin(turned),
        r"  \centering",
        rf"  \caption{{{escape(line(table.marked_caption))}}}",
        *([rf"  \label{{{label}}}"] if label else []),
        *([r"  \small\setlength{\tabcolsep}{3pt}"] if len(table.columns) >= WIDE else []),
        *([f"  {_AS_HIGH}"] if turned else []),
        f"  {_AS_WIDE}",
        rf"  \begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"    \toprule",
        *_groups(table),
        f"    {' & '.join(_head(column) for column in table.columns)} \\\\",
        r"    \midrule",
    ]
    previous = None
    for row, ranks in zip(table.rows, table.ranks(), strict=True):
        lines += _between(table, previous, row)
        lines += _row(table, row, ranks, names)
        previous = row
    lines += [r"    \bottomrule", rf"  \end{{tabular}}{'}}' if turned else '}'}"]
    notes = _below(table)
    if not turned:
        return "\n".join([*lines, *notes, r"\end{table}", ""])
    lines += [r"\end{sidewaystable*}\endgroup"]
    if notes:
        title = r"  {\footnotesize Notes to \tablename~\thetable}"
        lines += [r"\begin{table*}[tp]", title, *notes, r"\end{table*}"]
    return "\n".join([*lines, ""])


def _begin(turned: bool) -> list[str]:
    if not turned:
        return [r"\begin{table}[t]"]
    # Within the turned float \textwidth is the height of the page.
    limit = r"\begingroup\edef\highest{\the\dimexpr\textwidth-3\baselineskip}%"
    return [limit, r"\begin{sidewaystable*}"]


def _groups(table: Table) -> list[str]:
    """The line of names above groups of columns, and the rules below them."""
    names, rules, first = [], [], 1
    for name, width in table.groups():
        names.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(short(name))}}}")
        rules += [rf"\cmidrule(lr){{{first}-{first + width - 1}}}"] if name else []
        first += width
    return [f"    {' & '.join(names)} \\\\", f"    {' '.join(rules)}"] if names else []


def _below(table: Table) -> list[str]:
    lines = [
        (rf"\textsuperscript{{{escape(mark)}}}\," if mark else "") + escape(line(text))
        for mark, text in below(table)
    ]
    if not lines:
        return []
    start = r"  \par\medskip\begin{minipage}{\linewidth}\footnotesize\raggedright\setlength{\parskip}{2pt}"
    return [start, *(rf"    {line}\par" for line in lines), r"  \end{minipage}"]


def _between(table: Table, previous: Row | None, row: Row) -> list[str]:
    """The rule, the space or the section's line that stands above a row."""
    section = "" if previous is None else previous.section
    if row.section and row.section != section:
        rule = [] if previous is None else [r"    \midrule"]
        title = rf"\textit{{{escape(line(row.section))}}}"
        return [*rule, rf"    \multicolumn{{{len(table.columns)}}}{{@{{}}l}}{{{title}}} \\"]
    if previous is not None and row.section != section:
        return [r"    \midrule"]
    tall = previous is not None and any(cell.intervals for cell in previous.cells)
    return [r"    \addlinespace"] if tall or (previous is not None and row.kind != previous.kind) else []


def _row(table: Table, row: Row, ranks: Sequence[Literal[1, 2] | None], names: Sequence[str]) -> list[str]:
    cells = list(zip(table.columns, row.cells, strict=True))
    shown = [_cell(column, cell, rank) for (column, cell), rank in zip(cells, ranks, strict=True)]
    lines = [f"    {' & '.join(shown)} \\\\"]
    for name in names:
        found = [
            next((column.bounds(one) for one in cell.intervals if one.name == name), "")
            for column, cell in cells
        ]
        if any(found):
            small = [rf"{{\scriptsize {escape(text)}}}" if text else "" for text in found]
            small[0] = small[0] or rf"{{\scriptsize\quad {escape(line(name))}}}"
            lines.append(f"    {' & '.join(small)} \\\\")
    return lines


def _head(column: Column) -> str:
    return escape(short(column.label)) + ARROWS[column.direction] + _raised(column.marks)


def _raised(marks: Sequence[str]) -> str:
    return rf"\textsuperscript{{{escape(','.join(marks))}}}" if marks else ""


def _cell(column: Column, cell: Cell, rank: Literal[1, 2] | None) -> str:
    text = escape(short(column.shows(cell)))
    if rank is not None:
        text = rf"\{'textbf' if rank == 1 else 'underline'}{{{text}}}"
    return text + _raised(cell.marks)
