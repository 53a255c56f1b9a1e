"""``report``: run folders turned into what people read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lumina_eval.commands import options as o
from lumina_eval.console import Output, output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.publishing import write_reports
from lumina_eval.runs import find_runs, store_of


def report(
    run_dirs: o.RunDirs,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report; report/ beside runs/.")
    ] = None,
    store: o.Store = None,
    as_json: o.AsJson = False,
) -> None:
    """Write tables, curves and galleries of runs: Markdown and one self-contained HTML page."""
    with output(as_json) as streams:
        folders = expand(run_dirs)
        place = out or folders[0].resolve().parent.parent / "report"
        code = finish_report(folders, place, store or store_of(folders[0]), streams, nested=False)
    raise typer.Exit(code)


def finish_report(
    run_dirs: Sequence[Path], out: Path, store: Path, streams: Output, nested: bool = True
) -> ExitCode:
    """Write the report into ``out`` (or ``out/report``) and say where; a reporter that fails is a warning."""
    files, warnings = write_reports(run_dirs, out / "report" if nested else out, store)
    for text in warnings:
        streams.warn(text)
    if not nested:
        streams.emit({"schema": 1, "files": [str(path) for path in files], "warnings": warnings})
    for path in files:
        if path.suffix in (".html", ".md"):
            streams.result(f"report  {path}")
    if tables := [path for path in files if path.suffix in (".tex", ".csv")]:
        kinds = " and ".join(sorted({path.suffix for path in tables}))
        streams.result(f"tables  {len(tables)} files ({kinds}) in {tables[0].parent}")
    return ExitCode.USER if warnings and not files else ExitCode.OK


def expand(folders: Sequence[Path]) -> list[Path]:
    """Replace each folder that holds ``runs/`` by its finished runs."""
    found: list[Path] = []
    for folder in folders:
        if (folder / "manifest.json").is_file():
            found.append(folder)
            continue
        inside = find_runs(folder)
        if not inside:
            raise UserError(f"expected a run folder or a folder with runs/, found none at {folder}")
        found += inside
    return list(dict.fromkeys(found))
