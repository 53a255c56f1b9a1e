"""What stands below a table: what its marks mean, its notes, and where the numbers come from."""

from __future__ import annotations

from typing import Final

from reports.plain_text import is_cut
from reports.table import Table

NOTE_CUT: Final = "Text that ends in … is cut here; the CSV and JSON files have it whole."


def below(table: Table) -> tuple[tuple[str, str], ...]:
    """Return (mark, text) of each line below a table, in reading order; notes have no mark."""
    shown = [column.name for column in table.columns]
    shown += [text for index in range(len(table.columns)) for text in table.shown(index)]
    cut = [NOTE_CUT] if any(is_cut(text) for text in shown) else []
    return (
        *((note.mark, note.text) for note in table.footnotes),
        *(("", text) for text in (*table.notes, *table.provenance, *cut)),
    )
