"""``export``: a run's images for the official scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.console import output
from lumina_eval.errors import ExitCode
from lumina_eval.export import export_run


def export(
    benchmark: o.BenchmarkName,
    run: Annotated[Path, typer.Option("--run", help="Run folder with the images.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the images; it must be new or empty.")],
    questions: o.Questions = None,
    store: o.Store = None,
    as_json: o.AsJson = False,
) -> None:
    """Write the images of a run in the official layout of its benchmark."""
    with output(as_json) as streams:
        done = export_run(plugins.benchmark(benchmark, questions), run, out, store)
        missing = [{"item_id": ref.item_id, "index": ref.index} for ref in done.missing]
        record = {"schema": 1, "run_dir": str(run), "folder": str(out), "images": done.images}
        streams.emit({**record, "missing": missing, "rewritten": done.rewritten})
        streams.result(f"{done.images} images in {out}")
        if done.rewritten:
            streams.warn(f"{done.rewritten}: the layout does not say so, say it beside the scores")
        if missing:
            first = done.missing[0]
            streams.warn(
                f"{len(missing)} images of the plan are missing, the first is image {first.index} of item "
                f"{first.item_id}; fix: lumina-eval run with the same arguments makes them, then export anew"
            )
    raise typer.Exit(ExitCode.INCOMPLETE if missing else ExitCode.OK)
