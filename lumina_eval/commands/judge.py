"""``judge``: images or verdicts that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lumina_eval.commands import options as o
from lumina_eval.commands.run import exit_code, finish, make_site
from lumina_eval.console import output
from lumina_eval.errors import UserError
from lumina_eval.external import judge_folder, judge_verdicts
from lumina_eval.files import make_folder


def judge(
    benchmark: o.BenchmarkName,
    protocol: o.ProtocolName = o.DEFAULT_PROTOCOL,
    images: Annotated[Path | None, typer.Option(help="Folder in the benchmark's official layout.")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Verdicts saved before, JSON lines.")] = None,
    questions: o.Questions = None,
    parses: o.Parses = None,
    set_: o.Changes = o.NONE,
    images_per_prompt: o.ImagesPerPrompt = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Expect every prompt of the protocol.")
    ] = False,
    batch_size: o.BatchSize = o.DEFAULT_BATCH_SIZE,
    out: o.Out = o.OUT,
    store: o.Store = None,
    min_overall: o.MinOverall = None,
    strict_gate: o.StrictGate = False,
    as_json: o.AsJson = False,
) -> None:
    """Judge a folder of images, or add saved verdicts up; expected is what the folder or file names."""
    with output(as_json) as streams:
        if images is None and verdicts is None:
            raise UserError("expected --images DIR or --verdicts FILE, found neither; fix: say what to judge")
        if images is not None and verdicts is not None:
            raise UserError(
                "expected one of --images and --verdicts, found both; fix: leave --images out to add saved "
                "verdicts up, or --verdicts to judge the images anew"
            )
        site = make_site(out, store, batch_size, streams, benchmark, [])
        make_folder(out)
        if images is not None:
            run_dir = judge_folder(
                benchmark, protocol, set_, images, site, images_per_prompt, complete, questions, parses
            )
        else:
            assert verdicts is not None
            if parses is not None:
                raise UserError(
                    "expected --parses with --images, found it with --verdicts, which hold what was parsed; "
                    "fix: leave it out"
                )
            run_dir = judge_verdicts(
                benchmark, protocol, set_, verdicts, site, images_per_prompt, complete, questions
            )
        results = finish([run_dir], site, streams, report=False, mlflow=False, uri=None)
        code = exit_code(results, min_overall, strict_gate, streams)
    raise typer.Exit(code)
