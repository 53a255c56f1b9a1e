"""``lumina-eval leaderboard``: many runs, or the receipts of many, as a folder of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from lumina_eval.console import output
from lumina_eval.errors import ExitCode, UserError
from reports.leaderboard.boards import boards
from reports.leaderboard.entries import RECEIPTS, gather, standing
from reports.leaderboard.site import title_of, write_site

TITLE: Final = "Text-to-image leaderboard"

app = typer.Typer(subcommand_metavar="")


@app.callback(invoke_without_command=True, context_settings={"allow_interspersed_args": True})
def leaderboard(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Run folders, folders that hold runs/, or receipts."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the site.")] = Path("leaderboard"),
    add: Annotated[
        bool, typer.Option("--add", help="Keep the runs that are in the site already; else only those given.")
    ] = False,
    title: Annotated[
        str | None,
        typer.Option(
            "--title",
            help=f"Heading of the site; with --add that which it has, else {TITLE}.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON lines on stdout; all else on stderr.")
    ] = False,
) -> None:
    """Write a leaderboard of runs into a folder for any static host; it opens from disk as well.

    Only runs of one benchmark, protocol, part of it, judge and kind of prompts are ranked together. The same
    runs give the same bytes. To add runs later give all of them again, or --add and the new ones.
    """
    with output(as_json) as streams:
        if out.is_dir() and any(out.iterdir()) and not (out / RECEIPTS).is_dir():
            raise UserError(
                f"expected an empty folder or a site of leaderboard, found other files, in {out}; "
                "fix: --out another folder"
            )
        before = standing(out) if add else []
        if not places and not before:
            raise UserError(
                "expected runs or receipts, found none; fix: lumina-eval leaderboard lumina-runs --out SITE"
            )
        entries, passed_over, measurements = gather([*before, *(places or [])], out)
        for text in [*passed_over, *measurements]:
            streams.warn(f"passed over: {text}")
        heading = title or (title_of(out) if add else None) or TITLE
        files = write_site(entries, out, heading)
        streams.emit(
            {
                "schema": 1,
                "site": str(out),
                "runs": [entry.run_id for entry in entries],
                "boards": [board.slug for board in boards(entries)],
                "files": [str(path) for path in files],
                "passed_over": passed_over,
                "measurements": measurements,
            }
        )
        streams.result(
            f"site    {out / 'index.html'}  ({len(entries)} runs, {len(files)} pages and data files)"
        )
    raise typer.Exit(ExitCode.INCOMPLETE if passed_over else ExitCode.OK)
