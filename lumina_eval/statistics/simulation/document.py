"""The tables as Markdown, and their place in a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.files import write_atomic
from lumina_eval.statistics.simulation import coverage, differences, errors, power, ratios

BEGIN: Final = "<!-- simulation {name}: begin -->"
END: Final = "<!-- simulation {name}: end -->"


@dataclasses.dataclass(frozen=True)
class Section:
    """One table: its columns, and what makes its rows."""

    name: str
    head: Sequence[str]
    rows: Callable[[int], Iterator[tuple[str, ...]]]
    count: int
    """Of rows, for the progress bar."""


SECTIONS: Final = (
    Section("coverage", coverage.HEAD, coverage.rows, len(coverage.WORLDS)),
    Section("ratios", ratios.HEAD, ratios.rows, len(ratios.WORLDS)),
    Section("difference", differences.HEAD, differences.rows, len(differences.PAIRS)),
    Section("p", errors.HEAD, errors.rows, len(errors.PAIRS)),
    Section("families", errors.FAMILY_HEAD, errors.families, 2),
    Section("power", power.HEAD, power.rows, 4),
)


def table(section: Section, rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    rule = "|---|" + "---:|" * (len(section.head) - 1)
    return "\n".join([f"| {' | '.join(section.head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def write(file: Path, name: str, text: str) -> None:
    """Put a table between its marks in a document; UserError if they are not there."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    try:
        old = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot read {file}: {error.strerror}; fix: name the document to write into"
        ) from error
    before, found, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UserError(f"expected {begin} and {end}, found them not, in {file}; fix: write both lines there")
    write_atomic(file, f"{before}{begin}\n{text}\n{end}{after}".encode())
