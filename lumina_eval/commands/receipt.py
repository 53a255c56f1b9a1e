"""``receipt``: make the file that proves a run's numbers, and check such files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lumina_eval.commands import options as o
from lumina_eval.console import Output, output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.receipts.checking import check_receipt, record_beside
from lumina_eval.receipts.findings import Finding, exit_code
from lumina_eval.receipts.making import INSTEAD, NAME, WANTED, names_file, write_receipt
from lumina_eval.receipts.record import Receipt, read_receipt
from lumina_eval.run_lists import sift, without_times
from lumina_eval.runs import find_runs, read_manifest
from lumina_eval.timed import holds_times, refuse_times

app = typer.Typer(no_args_is_help=True, help="One file per run from which its numbers are derived again.")

#: What ends a check of several files: the first of these that any of them has.
GRAVEST = (ExitCode.GATE_FAILED, ExitCode.USER, ExitCode.INCOMPLETE)


@app.command("make")
def make(
    run_dirs: o.RunDirs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for RUN.receipt.json, or FILE.json for a single run; else receipt.json in each run "
            "folder.",
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Write a receipt of each finished run: what was asked, judged and published, how to make it again."""
    with output(as_json) as streams:
        whole, passed_over = sift(run_dirs)
        folders, times = without_times(whole, run_dirs, WANTED, INSTEAD)
        for text in [*passed_over, *times]:
            streams.warn(f"passed over: {text}")
        if out is not None and names_file(out) and len(folders) > 1:
            raise UserError(
                f"expected a folder for receipts of {len(folders)} runs, found a single file, {out}; "
                f"fix: --out {out.with_suffix('')}, or name one run"
            )
        for folder in folders:
            path = write_receipt(folder, out)
            size = path.stat().st_size
            streams.emit({"schema": 1, "file": str(path), "run_dir": str(folder), "bytes": size})
            streams.result(f"receipt {path}  ({size / 1024:.0f} KiB)")
    raise typer.Exit(ExitCode.INCOMPLETE if passed_over else ExitCode.OK)


@app.command("check")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Receipts, or folders that hold some: of a run, of runs, of --out.")
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", help="Image store, or the official folder layout, to check too.", show_default=False
        ),
    ] = None,
    reference: o.Reference = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Largest relative difference that is only rounding.")
    ] = 1e-12,
    as_json: o.AsJson = False,
) -> None:
    """Derive the published numbers again from the verdicts, and check every digest; nothing is downloaded.

    Exit codes: 0 all passes, 1 something is wrong, 2 no receipt, or its benchmark is not installed, 4
    something could not be checked: a run of a folder that has no receipt yet is said, and the others are
    checked.
    """
    with output(as_json) as streams:
        codes: set[ExitCode] = set()
        for place in files:
            found, lacking = _receipts(place)
            whole = place.is_dir()  # who names a folder asks about all that is in it
            codes |= {_check_one(file, images, reference, tolerance, streams, whole) for file in found}
            codes |= {_tell_lacking(run_dir, streams) for run_dir in lacking}
    raise typer.Exit(next((code for code in GRAVEST if code in codes), ExitCode.OK))


def _receipts(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the receipts that a place stands for, and runs that have none beside others that have one.

    A folder is that of a run, one of receipts, or one that holds ``runs/``; of measurements there are none. A
    receipt that is not there is told when it is read.
    """
    if not place.is_dir():
        return [place], []
    if (place / "manifest.json").is_file():
        if not (place / NAME).is_file():
            refuse_times(read_manifest(place), place, WANTED, INSTEAD)
        return [place / NAME], []
    if beside := sorted({*place.glob(NAME), *place.glob(f"*.{NAME}")}):
        return beside, []
    runs = find_runs(place)
    made = [run / NAME for run in runs if (run / NAME).is_file()]
    lacking = [run for run in runs if run / NAME not in made and not holds_times(read_manifest(run))]
    if not made and not lacking:
        raise UserError(
            f"expected {NAME} of a run, or RUN.{NAME} of several, found neither, in {place}; "
            f"fix: lumina-eval receipt make RUN --out {place}"
        )
    return (made, lacking) if made else ([run / NAME for run in lacking], [])


def _tell_lacking(run_dir: Path, streams: Output) -> ExitCode:
    said = f"expected {NAME} in {run_dir}, found none; fix: lumina-eval receipt make {run_dir}"
    told = {"schema": 1, "file": str(run_dir / NAME), "state": "UNCHECKED", "run_id": run_dir.name}
    streams.emit({**told, "error": said, "command": None, "findings": []})
    streams.warn(said)
    return ExitCode.INCOMPLETE


def _check_one(
    file: Path, images: Path | None, reference: str | None, tolerance: float, streams: Output, whole: bool
) -> ExitCode:
    record: dict[str, Any] = {"schema": 1, "file": str(file), "state": "FAIL"}
    try:
        receipt, value = read_receipt(file)
    except UserError as error:
        streams.emit({**record, "run_id": None, "error": str(error), "command": None, "findings": []})
        streams.say(f"error: {error}")
        return ExitCode.USER
    found = check_receipt(receipt, value, file.parent, tolerance, images, reference)
    found += record_beside(receipt, file.parent) if whole else ()
    code = exit_code(found)
    state = {ExitCode.OK: "PASS", ExitCode.GATE_FAILED: "FAIL"}.get(code, "UNCHECKED")
    findings = [vars(finding) for finding in found]
    made = {"run_id": receipt.manifest.run_id, "error": None, "command": receipt.command}
    streams.emit({**record, **made, "state": state, "findings": findings})
    _show(file, receipt, found, state, streams)
    return code


def _show(file: Path, receipt: Receipt, found: list[Finding], state: str, streams: Output) -> None:
    made = receipt.manifest
    streams.result(f"{file}: {made.title} on {made.benchmark} {made.protocol}")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for finding in found:
        table.add_row(finding.what, finding.state, finding.said)
    streams.tables.print(table)
    streams.result(f"{state}    the run again: {receipt.command}")
