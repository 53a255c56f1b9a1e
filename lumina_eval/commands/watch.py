"""``watch``: score the checkpoints of a training run as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lumina_eval.commands import options as o
from lumina_eval.commands.report import finish_report
from lumina_eval.commands.run import check_minimum, check_strictness, exit_code, finish, make_site, rewritten
from lumina_eval.console import output
from lumina_eval.errors import ExitCode, UserError, is_user_error
from lumina_eval.evaluation import ask, evaluate
from lumina_eval.files import make_folder
from lumina_eval.models import open_models
from lumina_eval.runs import read_result
from lumina_eval.watch import new_checkpoints


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder that the trainer writes checkpoints into.")],
    benchmark: Annotated[str, typer.Option("--benchmark", help="Name of the benchmark.")] = "geneval",
    protocol: o.ProtocolName = "tabletop",
    scheme: Annotated[
        str, typer.Option("--scheme", help="Model plug-in that opens a checkpoint.")
    ] = "lumina",
    option: o.Options = o.NONE,
    rewrite: o.Rewrite = None,
    rewrite_option: o.RewriteOptions = o.NONE,
    suite: o.SuiteName = "quick",
    limit: o.Limit = None,
    questions: o.Questions = None,
    parses: o.Parses = None,
    reference: o.Reference = None,
    set_: o.Changes = o.NONE,
    images_per_prompt: o.ImagesPerPrompt = None,
    batch_size: o.BatchSize = o.DEFAULT_BATCH_SIZE,
    device: o.Device = "auto",
    out: o.Out = o.OUT,
    store: o.Store = None,
    once: Annotated[bool, typer.Option("--once", help="Score what is there, then stop.")] = False,
    poll: Annotated[float, typer.Option("--poll", min=0.1, help="Seconds between two looks.")] = 10.0,
    idle_timeout: Annotated[
        float | None, typer.Option("--idle-timeout", help="Stop after so many seconds without a new one.")
    ] = None,
    min_overall: o.MinOverall = None,
    strict_gate: o.StrictGate = False,
    report: o.Report = True,
    mlflow: o.Mlflow = True,
    tracking_uri: o.TrackingUri = None,
    as_json: o.AsJson = False,
) -> None:
    """Score each checkpoint (checkpoint.json beside transformer/) below FOLDER as it appears."""
    with output(as_json) as streams:
        check_strictness(strict_gate, min_overall)
        if not folder.is_dir():
            raise UserError(f"expected the folder of a training run, found none at {folder}")
        features = o.features_folder(out, store)
        question = ask(
            benchmark, protocol, set_, suite, limit, images_per_prompt, questions, parses, reference, features
        )
        check_minimum(question, min_overall)
        judge = question.benchmark.judge(question.protocol)
        site = make_site(out, store, batch_size, streams, benchmark, [f"{scheme}:"])
        make_folder(out)
        # All texts are made and kept before the first checkpoint is there, so that what is wrong is told now.
        rewritten([], question, site, rewrite, rewrite_option, device, dry_run=False)
        run_dirs: list[Path] = []
        broken: list[str] = []

        def pass_over(reason: str) -> None:
            streams.warn(f"passed over: {reason}")
            broken.append(reason)

        if not once:
            streams.say(f"watching {folder}: a look every {poll:g} s, Ctrl-C ends it")
        for checkpoint in new_checkpoints(folder, once, poll, idle_timeout, pass_over):
            streams.say(f"checkpoint {checkpoint.folder}")
            try:
                models = list(open_models(f"{scheme}:{checkpoint.folder}", o.model_options(option, device)))
                models = rewritten(models, question, site, rewrite, rewrite_option, device, dry_run=False)
                new = [evaluate(question, model, judge, site) for model in models]
            except Exception as error:
                if not is_user_error(error):
                    raise
                pass_over(f"{checkpoint.folder}: {error}")
                continue
            run_dirs = [*(run_dir for run_dir in run_dirs if run_dir not in new), *new]
            # the report shows all checkpoints so far; a JSON line is printed for the new ones
            finish(new, site, streams, False, mlflow, tracking_uri)
            if report:
                finish_report(run_dirs, site.out, site.store.root, streams)
        if not run_dirs:
            streams.warn(f"no whole checkpoint below {folder}")
        results = [read_result(run_dir) for run_dir in run_dirs]
        nothing = ExitCode.OK if min_overall is None else ExitCode.UNDECIDABLE
        code = exit_code(results, min_overall, strict_gate, streams) if results else nothing
        if broken and code == ExitCode.OK:
            code = ExitCode.USER
    raise typer.Exit(code)
