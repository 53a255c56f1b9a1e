"""``python -m lumina_eval.statistics.simulation``: print the tables, or write them into a document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from lumina_eval.console import plain
from lumina_eval.errors import UserError, unknown
from lumina_eval.statistics.simulation.document import SECTIONS, table, write

NONE: list[str] = []


def simulate(
    sections: Annotated[
        list[str], typer.Argument(help=f"Of {', '.join(s.name for s in SECTIONS)}; all if none is named.")
    ] = NONE,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Simulated runs for each row.")] = 10_000,
    write_to: Annotated[
        Path | None, typer.Option("--write", help="Document to write the tables into.", show_default=False)
    ] = None,
) -> None:
    """Simulate worlds whose truth is known. Each table is written when it is done; seeds are fixed."""
    names = [section.name for section in SECTIONS]
    for name in sections:
        if name not in names:
            raise unknown("table", name, names)
    chosen = [section for section in SECTIONS if not sections or section.name in sections]
    with Progress(console=plain(stderr=True)) as progress:
        bar = progress.add_task("rows", total=sum(section.count for section in chosen))
        for section in chosen:
            progress.update(bar, description=section.name)
            rows = []
            for row in section.rows(runs):
                rows.append(row)
                progress.advance(bar)
            if write_to is None:
                print(f"{table(section, rows)}\n", flush=True)
            else:
                write(write_to, section.name, table(section, rows))


if __name__ == "__main__":
    try:
        typer.run(simulate)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
