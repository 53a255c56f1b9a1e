"""``judge``: images or verdicts that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.commands.run import check_minimum, check_strictness, exit_code, finish, make_site
from lumina_eval.console import output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.evaluation import Question, find_protocol
from lumina_eval.external.asking import prompts_at_hand
from lumina_eval.external.features import judge_features, statistics_writer
from lumina_eval.external.folder import judge_folder
from lumina_eval.external.verdicts import judge_verdicts
from lumina_eval.files import make_folder
from lumina_eval.plan import Selection
from lumina_eval.plugins import Benchmark


def judge(
    benchmark: o.BenchmarkName,
    protocol: o.ProtocolName = o.DEFAULT_PROTOCOL,
    images: Annotated[
        Path | None, typer.Option(help="Folder in the benchmark's official layout; any folder for fidelity.")
    ] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Verdicts saved before, JSON lines.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Features of the images, FILE.npz or FILE.npz:KEY (fidelity).", show_default=False),
    ] = None,
    reference: o.Reference = None,
    reference_features: Annotated[
        str | None,
        typer.Option(help="Features of the reference, FILE.npz or FILE.npz:KEY.", show_default=False),
    ] = None,
    write_statistics: Annotated[
        Path | None,
        typer.Option(
            help="Write mu and sigma of the images' features, FILE.npz (fidelity).", show_default=False
        ),
    ] = None,
    questions: o.Questions = None,
    parses: o.Parses = None,
    set_: o.Changes = o.NONE,
    images_per_prompt: o.ImagesPerPrompt = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Expect every prompt and image of the protocol.")
    ] = False,
    batch_size: o.BatchSize = o.DEFAULT_BATCH_SIZE,
    out: o.Out = o.OUT,
    store: o.Store = None,
    min_overall: o.MinOverall = None,
    strict_gate: o.StrictGate = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Images that are broken or absent are no error.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Judge a folder of images, or add saved verdicts up; expected is what the folder or file names."""
    with output(as_json) as streams:
        check_strictness(strict_gate, min_overall)
        if reference is not None and reference_features is not None:
            raise UserError(
                "expected one of --reference and --reference-features, found both; fix: leave one out"
            )
        held_against = reference if reference is not None else reference_features
        if images is None and verdicts is None and features is None:
            raise UserError(
                "expected --images DIR or --verdicts FILE (or, for fidelity, --features FILE.npz), found "
                "neither; fix: say what to judge"
            )
        if features is not None and (images is not None or verdicts is not None):
            raise UserError(
                "expected one of --features, --images and --verdicts, found several; fix: leave the "
                "others out"
            )
        if images is not None and verdicts is not None:
            raise UserError(
                "expected one of --images and --verdicts, found both; fix: leave --images out to add saved "
                "verdicts up, or --verdicts to judge the images anew"
            )
        if features is not None and complete:
            raise UserError(
                "expected --complete with --images or --verdicts, found it with --features, whose rows are "
                "of no prompts; fix: leave it out"
            )
        kept = o.features_folder(out, store)
        if min_overall is not None:
            bench = plugins.benchmark(benchmark, questions, parses, held_against, kept)
            _check_minimum(bench, protocol, set_, min_overall)
        write = None if write_statistics is None else statistics_writer(benchmark, write_statistics)
        site = make_site(out, store, batch_size, streams, benchmark, [])
        make_folder(out)
        if features is not None:
            run_dir = judge_features(benchmark, protocol, set_, features, site, held_against, kept)
        elif images is not None:
            run_dir = judge_folder(
                benchmark, protocol, set_, images, site, images_per_prompt, complete, questions, parses,
                held_against, kept,
            )  # fmt: skip
        else:
            assert verdicts is not None
            if parses is not None:
                raise UserError(
                    "expected --parses with --images, found it with --verdicts, which hold what was parsed; "
                    "fix: leave it out"
                )
            run_dir = judge_verdicts(
                benchmark, protocol, set_, verdicts, site, images_per_prompt, complete, questions,
                held_against, kept,
            )  # fmt: skip
        if write is not None:
            write(run_dir)
        results = finish([run_dir], site, streams, report=False, mlflow=False, uri=None)
        code = exit_code(results, min_overall, strict_gate, streams)
        if allow_missing and code == ExitCode.INCOMPLETE:
            code = ExitCode.OK
    raise typer.Exit(code)


def _check_minimum(bench: Benchmark, name: str, changes: Sequence[str], minimum: float) -> None:
    """Refuse, before anything is judged, a gate that no score could ever pass, or none fail."""
    protocol = find_protocol(bench, name, changes)
    items = tuple(prompts_at_hand(bench, protocol) or ())
    check_minimum(Question(bench, protocol, Selection(items, 1, "external", None)), minimum)
