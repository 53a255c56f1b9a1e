"""``report``: run folders, or what MLflow has of them, turned into what people read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lumina_eval import publishing
from lumina_eval.commands import options as o
from lumina_eval.commands.paper import apart, check_names, write_by_name
from lumina_eval.console import Output, output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.run_lists import sift
from lumina_eval.runs import DEFAULT_OUT, store_of
from lumina_eval.tracking.address import resolve_uri
from lumina_eval.tracking.reading import read_back


def report(
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(help="Run folders, or folders that hold runs/.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the report; report/ beside runs/.", show_default=False),
    ] = None,
    store: o.Store = None,
    from_mlflow: Annotated[
        list[str],
        typer.Option(
            "--from-mlflow",
            help="Experiment whose runs to report, e.g. embedded; may be given several times.",
            show_default=False,
        ),
    ] = o.NONE,
    into: Annotated[
        Path, typer.Option("--into", help="Folder that runs of --from-mlflow come back into.")
    ] = DEFAULT_OUT / "from-mlflow",
    mlflow: Annotated[
        bool, typer.Option("--mlflow/--no-mlflow", help="Send runs and report to MLflow.")
    ] = False,
    tracking_uri: o.TrackingUri = None,
    table: Annotated[
        list[str],
        typer.Option(
            "--table",
            help="A table of the paper with the runs in it, e.g. table4, in place of the report; repeatable.",
            show_default=False,
        ),
    ] = o.NONE,
    figure: Annotated[
        list[str],
        typer.Option(
            "--figure", help="This figure, e.g. figure10; repeatable, with --table too.", show_default=False
        ),
    ] = o.NONE,
    gallery: Annotated[
        str | None,
        typer.Option(
            "--gallery",
            metavar="N|all",
            help="Images a checkpoint in the page; a balanced sample of six a task if not given.",
            show_default=False,
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page when it is written.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Write tables, curves and galleries of runs: Markdown, LaTeX, CSV, JSON and one self-contained page."""
    with output(as_json) as streams:
        told: list[str] = []
        shown = images_shown(gallery)
        check_names(table, figure)
        named = bool(table or figure)
        given, others = apart(run_dirs or []) if named else (run_dirs or [], [])
        folders, passed_over = sift(given)
        if out is not None:
            _check_folder(out)  # before anything is read back
        uri = resolve_uri(tracking_uri, folders[0].resolve().parent.parent if folders else DEFAULT_OUT)
        if from_mlflow:
            found = read_back(from_mlflow, uri, into)
            folders += found.run_dirs
            passed_over += found.passed_over
        if not folders and not named:
            whole = f", of which none is whole: {passed_over[0]}" if passed_over else ""
            raise UserError(
                "expected a run folder, a folder with runs/, or --from-mlflow EXPERIMENT, found "
                f"{len(passed_over) or 'none'}{whole}; fix: lumina-eval report lumina-runs"
            )
        for text in passed_over:
            streams.warn(f"passed over: {text}")
        root = folders[0].resolve().parent.parent if folders else DEFAULT_OUT
        place = out or root / "report"
        _check_folder(place)
        line, unsent = publishing.send(folders, [], root, uri) if mlflow and folders else (None, [])
        files: list[Path]
        warnings: list[str]
        if named:
            files, warnings = write_by_name(table, figure, [*folders, *others], place, streams), []
        else:
            files, warnings = publishing.write_reports(folders, place, store or store_of(folders[0]), shown)
        if line and not unsent:  # the page holds the manifests, and these now know their ids
            line, unsent = publishing.send(folders, files, root, uri)
        told += [f"MLflow  {line}"] if line else []
        warnings += unsent
        streams.emit(
            {
                "schema": 1,
                "files": [str(path) for path in files],
                "runs": [str(folder) for folder in folders],
                "passed_over": passed_over,
                "warnings": warnings,
            }
        )
        _tell(files, warnings, streams)
        for text in told:
            streams.result(text)
        pages = [path for path in files if path.suffix == ".html"]
        if open_ and pages:
            typer.launch(str(pages[0].resolve()))
        code = ExitCode.USER if warnings and not files else ExitCode.OK
        if code == ExitCode.OK and passed_over:
            code = ExitCode.INCOMPLETE
    raise typer.Exit(code)


def _check_folder(path: Path) -> None:
    """Raise UserError where no folder can be made; it is left to the reporters to make it."""
    there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not there.is_dir() or not os.access(there, os.W_OK):
        found = "one that cannot be written" if there.is_dir() else "a file"
        at = "" if there == path else f" at {there}"
        raise UserError(
            f"expected a folder for the report, {path}, found {found}{at}; "
            "fix: --out DIR, in a folder that can be written"
        )


def images_shown(text: str | None) -> int | None:
    """Return what ``--gallery`` asks for: images a checkpoint, 0 for all, None where nothing was said.

    Raises UserError for anything but a number from 1 and the word ``all``.
    """
    if text is None or text == "all":
        return None if text is None else 0
    if not text.isdecimal() or int(text) < 1:
        raise UserError(
            f"expected a number of images or all, found {text!r}, in --gallery; fix: --gallery 200, "
            "or --gallery all"
        )
    return int(text)


def finish_report(run_dirs: Sequence[Path], out: Path, store: Path, streams: Output) -> None:
    """Write the report into ``out/report`` and say where; a reporter that fails is a warning."""
    files, warnings = publishing.write_reports(run_dirs, out / "report", store)
    _tell(files, warnings, streams)


def _tell(files: Sequence[Path], warnings: Sequence[str], streams: Output) -> None:
    """Say what failed, and where pages and tables are."""
    for text in warnings:
        streams.warn(text)
    for path in files:
        if path.suffix in (".html", ".md"):
            streams.result(f"report  {path}")
        elif path.suffix in (".svg", ".pdf"):
            streams.result(f"figure  {path}")
    listed = [file for path in files for file in (path.rglob("*") if path.is_dir() else [path])]
    if tables := [path for path in listed if path.suffix in (".tex", ".csv", ".json")]:
        kinds = ", ".join(sorted({path.suffix for path in tables}))
        streams.result(f"tables  {len(tables)} files ({kinds}) in {files[0].parent}")
