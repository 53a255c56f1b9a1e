"""A table as Markdown: for a terminal, a repository, a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from lumina_eval.inert_markdown import inert
from reports.plain_text import line, short
from reports.renderers.below import below
from reports.table import Cell, Column, Row, Table

ARROWS: Final = {"higher": " ↑", "lower": " ↓", None: ""}


def markdown_table(table: Table) -> str:
    """Render as a GitHub table with its caption and notes; intervals stand below their value, by name.

    The best of a column is bold, the second underlined (``<ins>``); a section is a row of its own.
    """
    caption = escape(line(table.marked_caption))
    lines = [
        f"**{caption}**" if caption else "",
        "",
        _row(_head(column) for column in table.columns),
        _row("---:" if column.numeric else ":---" for column in table.columns),
    ]
    section = ""
    for row, ranks in zip(table.rows, table.ranks(), strict=True):
        if row.section and row.section != section:
            lines.append(_row([f"*{escape(line(row.section))}*", *([""] * (len(table.columns) - 1))]))
        section = row.section
        cells = zip(table.columns, row.cells, ranks, strict=True)
        lines.append(_row(_cell(row, column, cell, rank) for column, cell, rank in cells))
    if found := below(table):
        lines += [
            "",
            *(f"- {_raised(mark)}{' ' if mark else ''}{_start(escape(line(text)))}" for mark, text in found),
        ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it stands, also within a table, and links nothing."""
    escaped = re.sub(r"([\\`*_\[\]<>|~#$&])", r"\\\1", text)
    return inert(re.sub(r"\s*\n\s*", " ", escaped))


def _start(escaped: str) -> str:
    """Keep what begins a line from being taken for a list, a rule or a heading."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", escaped)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(column: Column) -> str:
    return escape(short(column.name)) + _raised(*column.marks) + ARROWS[column.direction]


def _raised(*marks: str) -> str:
    return f"<sup>{escape(','.join(marks))}</sup>" if marks and any(marks) else ""


def _cell(row: Row, column: Column, cell: Cell, rank: Literal[1, 2] | None) -> str:
    text = escape(short(column.shows(cell)))
    text = f"[{text}]({_address(cell.link)})" if cell.link else text
    if rank == 1:
        text = f"**{text}**"
    elif rank == 2:
        text = f"<ins>{text}</ins>"
    elif row.kind == "ceiling":
        text = f"*{text}*"
    text += _raised(*cell.marks)
    for found in cell.intervals:
        text += f"<br><sub>{escape(line(found.name))} {escape(column.bounds(found))}</sub>"
    return text


def _address(link: str) -> str:
    """Return a relative address within Markdown's parentheses; what could end it is written as its code."""
    return re.sub(r"[\s()<>|\\]", lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), link)
