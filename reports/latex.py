"""The LaTeX renderer: booktabs, no resizing, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.files import write_atomic
from reports.document import document
from reports.table import Cell, HeaderCell, Row, Table

#: Characters with a meaning in LaTeX, and marks that T1 fonts lack, as text-mode LaTeX.
ESCAPES: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "—": "---",
    "–": "--",
    "−": r"\textminus{}",
    "±": r"\textpm{}",
    "×": r"\texttimes{}",
    "·": r"\textperiodcentered{}",
    "…": r"\ldots{}",
    "→": r"\textrightarrow{}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "Δ": r"\ensuremath{\Delta}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "\u00a0": "~",
    "\u202f": r"\,",
    "\n": " ",
}
ARROWS: Final = {"higher": r"\,$\uparrow$", "lower": r"\,$\downarrow$", None: ""}


#: Name of the file within the output folder.
PAGE: Final = "report.tex"


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
    write_atomic(path, "\n".join(["% needs \\usepackage{booktabs,textcomp}", *tables]).encode())
    return [path]


def escape(text: str) -> str:
    """Return ``text`` so that LaTeX prints it as it stands, one character at a time (no double escaping)."""
    return "".join(ESCAPES.get(character, character) for character in text)


def latex_table(table: Table, label: str = "") -> str:
    r"""Render as a ``table`` float; needs ``\usepackage{booktabs,textcomp}``.

    Each interval of a row stands on a line of its own below the values, named at the left, so that the table
    stays narrow enough for a column.
    """
    columns = "".join("r" if cell.numeric else "l" for cell in table.header)
    names = table.interval_names()
    lines = [
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape(table.marked_caption)}}}",
        *([rf"  \label{{{label}}}"] if label else []),
        rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"    \toprule",
        f"    {' & '.join(_header(cell) for cell in table.header)} \\\\",
        r"    \midrule",
    ]
    previous = "measured"
    for row in table.rows:
        if row.kind != previous and row is not table.rows[0]:
            lines.append(r"    \addlinespace")
        previous = row.kind
        lines += _row(row, names)
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += [rf"  \par\smallskip{{\footnotesize {escape(note)}}}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _header(cell: HeaderCell) -> str:
    return escape(cell.label) + ARROWS[cell.direction]


def _row(row: Row, names: list[str]) -> list[str]:
    lines = [f"    {' & '.join(_cell(cell) for cell in row.cells)} \\\\"]
    for name in names:
        found = [next((i.display for i in cell.intervals if i.name == name), "") for cell in row.cells]
        if any(found):
            small = [rf"{{\scriptsize {escape(text)}}}" if text else "" for text in found]
            small[0] = small[0] or rf"{{\scriptsize\quad {escape(name)}}}"
            lines.append(f"    {' & '.join(small)} \\\\")
    return lines


def _cell(cell: Cell) -> str:
    text = escape(cell.display)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    return text + (rf"\textsuperscript{{{escape(cell.significance)}}}" if cell.significance else "")
