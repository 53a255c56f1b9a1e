"""``lumina-eval arena export`` and ``reveal``: match-ups of runs for voters, and who was who in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from lumina_eval.console import output
from lumina_eval.errors import ExitCode

#: Missing images that are named one by one; all are counted.
NAMED: Final = 5


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or --out folders with runs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; new or empty.")],
    layout: Annotated[str, typer.Option("--layout", help="arena, rapidata or folder.")] = "arena",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sides.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Prompts of each category.", show_default=False)
    ] = None,
    side: Annotated[
        int | None, typer.Option("--side", min=8, help="Longest side of an image.", show_default=False)
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Who is who; else OUT.manifest.json.", show_default=False),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Image store of all runs.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")] = False,
) -> None:
    """Write every pair of models on every shared prompt, without names, for voters."""
    from benchmarks.arena.export import export_arena
    from benchmarks.arena.matchups import entrants, run_folders

    with output(as_json) as streams:
        found = entrants(run_folders(runs), store)
        done = export_arena(found, out, layout, seed=seed, limit=limit, side=side, manifest=manifest)
        missing = [{"model": m, "prompt": p.prompt, "index": p.image} for m, p in done.missing]
        counts = {"match_ups": done.match_ups, "images": done.images}
        streams.emit(
            {"schema": 1, "folder": str(out), "manifest": str(done.manifest), **counts, "missing": missing}
        )
        streams.result(f"{done.match_ups} match-ups of {len(found)} models, {done.images} images, in {out}")
        streams.say(f"who is who: {done.manifest} (keep it from those who vote)")
        if layout == "arena":
            streams.say(f"a place to vote: lumina-eval arena serve {out}")
        if done.resized:
            streams.warn(
                f"{done.resized} images had another size and were scaled to {done.size[0]} x {done.size[1]}, "
                "so that sizes do not tell models apart"
            )
        if done.warning:
            streams.warn(done.warning)
        if missing:
            named = "; ".join(f"{m}, image {p.image} of {p.prompt!r}" for m, p in done.missing[:NAMED])
            streams.warn(
                f"{len(missing)} images are missing, and their places were left out for all models: {named}"
                f"{' …' if len(missing) > NAMED else ''}; fix: lumina-eval run with the same arguments makes "
                "them, then export anew"
            )
    raise typer.Exit(ExitCode.INCOMPLETE if missing else ExitCode.OK)


def reveal(
    table: Annotated[Path, typer.Argument(help="CSV table with a column of images of an export.")],
    manifest: Annotated[Path, typer.Option("--manifest", help="The manifest that the export wrote.")],
    out: Annotated[Path, typer.Option("--out", help="CSV table to write.")],
) -> None:
    """Write a table that came back from voters with the models beside the images."""
    from benchmarks.arena import reveal as revealing
    from benchmarks.arena.manifest import read_manifest_of_export

    with output(False) as streams:
        rows = revealing.reveal(table, read_manifest_of_export(manifest), out)
        streams.result(f"{rows} rows with their models in {out}")
