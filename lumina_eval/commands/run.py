"""``run``: checkpoints on a protocol."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich import filesize

from lumina_eval import plugins, rewriting
from lumina_eval.commands import options as o
from lumina_eval.commands.sizing import sizing
from lumina_eval.console import Output, heading, output, redacted, stage_tables
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.evaluation import Question, Site, ask, evaluate, title_of
from lumina_eval.files import make_folder, valid_lines
from lumina_eval.generation import missing
from lumina_eval.models import distribution_of, open_models
from lumina_eval.plan import Shard, make_plan
from lumina_eval.plugins import Model
from lumina_eval.publishing import publish
from lumina_eval.records import Metric, RunResult
from lumina_eval.runs import find_runs, read_manifest, read_result
from lumina_eval.statistics.gates import gate
from lumina_eval.statistics.means import BOUNDS
from lumina_eval.store import ImageStore
from lumina_eval.units import span


def run(
    benchmark: o.BenchmarkName,
    protocol: o.ProtocolName = o.DEFAULT_PROTOCOL,
    model: o.Models = o.DEFAULT_MODELS,
    option: o.Options = o.NONE,
    rewrite: o.Rewrite = None,
    rewrite_option: o.RewriteOptions = o.NONE,
    suite: o.SuiteName = o.DEFAULT_SUITE,
    limit: o.Limit = None,
    questions: o.Questions = None,
    parses: o.Parses = None,
    reference: o.Reference = None,
    set_: o.Changes = o.NONE,
    images_per_prompt: o.ImagesPerPrompt = None,
    batch_size: o.BatchSizeOrAuto = o.DEFAULT_BATCH_WORD,
    device: o.Device = "auto",
    out: o.Out = o.OUT,
    store: o.Store = None,
    min_overall: o.MinOverall = None,
    strict_gate: o.StrictGate = False,
    report: o.Report = True,
    mlflow: o.Mlflow = True,
    tracking_uri: o.TrackingUri = None,
    dry_run: o.DryRun = False,
    as_json: o.AsJson = False,
) -> None:
    """Generate, judge and score checkpoints, log to MLflow and write the report. Resumes where it ended."""
    with output(as_json) as streams:
        check_strictness(strict_gate, min_overall)
        given = o.batch_size_of(batch_size)
        features = o.features_folder(out, store)
        question = ask(
            benchmark, protocol, set_, suite, limit, images_per_prompt, questions, parses, reference, features
        )
        check_minimum(question, min_overall)
        models = open_all(model, o.model_options(option, device))
        site = make_site(out, store, given or o.DEFAULT_BATCH_SIZE, streams, benchmark, model)
        judge = question.benchmark.judge(question.protocol)
        models = rewritten(models, question, site, rewrite, rewrite_option, device, dry_run)
        sized = sizing(question, models, site, streams, dry_run) if given is None else lambda model: site
        if dry_run:
            for one in models:
                tell_plan(question, one, sized(one), streams)
            return
        make_folder(out)
        run_dirs = []
        while models:
            one = models.pop(0)  # the one before is let go of, then this one loads its weights
            run_dirs.append(evaluate(question, one, judge, sized(one)))
        results = finish(run_dirs, site, streams, report, mlflow, tracking_uri)
        code = exit_code(results, min_overall, strict_gate, streams)
    raise typer.Exit(code)


def open_all(texts: Sequence[str], options: dict[str, str]) -> list[Model]:
    """Open every ``--model`` in order; raise UserError for options that none of them takes."""
    models = [model for text in texts for model in open_models(text, options)]
    named = [name for name in options if name != "device"]
    if named and not any(getattr(model, "takes_options", True) for model in models):
        raise UserError(
            f"expected a model that takes options, found --option {named[0]} for {', '.join(texts)}; "
            "fix: leave it out"
        )
    return models


def rewritten(
    models: list[Model],
    question: Question,
    site: Site,
    rewrite: str | None,
    pairs: list[str],
    device: str,
    dry_run: bool,
) -> list[Model]:
    """Put the texts of ``--rewrite`` before the models; with ``dry_run`` no language model is asked."""
    options = o.key_values(pairs, "--rewrite-option")
    if rewrite is None:
        if options:
            raise UserError("expected --rewrite beside --rewrite-option, found none; fix: say what rewrites")
        return models
    rewriter = rewriting.open_rewriter(rewrite, options, device)
    prompts = [item.prompt for item in question.selection.items]
    if not dry_run:
        texts = rewriting.rewritten_texts(rewriter, prompts, site.out, site.console)
        return rewriting.apply(rewriter, texts, models)
    known = rewriting.known_texts(rewriter, prompts, site.out)
    # What is not rewritten yet has a text that no image was made of: its images count as missing.
    texts = {prompt: known.get(prompt, f"\0 to be rewritten: {prompt}") for prompt in prompts}
    return rewriting.apply(rewriter, texts, models)


def make_site(
    out: Path, store: Path | None, batch_size: int, streams: Output, benchmark: str, models: Sequence[str]
) -> Site:
    """Collect where a command works and what takes part in it."""
    plugin = plugins.available("benchmarks").get(benchmark)
    names = [
        plugin.distribution.split(" ")[0] if plugin else None,
        *(distribution_of(text) for text in models),
    ]
    return Site(
        out=out,
        store=ImageStore(store or out / "images"),
        batch_size=batch_size,
        console=streams.people,
        argv=redacted(["lumina-eval", *sys.argv[1:]]),
        distributions=sorted({name for name in names if name}),
    )


def finish(
    run_dirs: Sequence[Path], site: Site, streams: Output, report: bool, mlflow: bool, uri: str | None
) -> list[RunResult]:
    """Publish the runs, print table and JSON lines, and say where everything is."""
    published = publish(run_dirs, site.out, site.store.root, report, mlflow, uri)
    results = []
    for run_dir in run_dirs:
        result = read_result(run_dir)
        results.append(result.model_copy(update={"warnings": [*result.warnings, *published.warnings]}))
    streams.result(heading(results))
    for table in stage_tables(results, streams.tables.width):
        streams.tables.print(table)
    for result in results:
        for text in result.warnings:
            if text not in published.warnings:
                streams.warn(f"{result.title}: {text}")
        streams.emit(result)
    for text in published.warnings:
        streams.warn(text)
    for line in published.places(run_dirs):
        streams.result(line)
    return results


def exit_code(results: Sequence[RunResult], minimum: float | None, strict: bool, streams: Output) -> ExitCode:
    """Say how it ended: incomplete coverage first, then the gate, which looks at the last checkpoint."""
    if any(not result.coverage.complete for result in results):
        if minimum is not None:
            streams.say("gate not looked at: the coverage is incomplete")
        return ExitCode.INCOMPLETE
    if minimum is None:
        return ExitCode.OK
    last = results[-1]
    overall = check_gate(last.metrics, minimum)
    state = gate(overall, minimum, strict)
    found = "unknown" if overall.value is None else f"{overall.value:.4f}"
    streams.say(f"gate {state}: overall of {last.title} is {found}, the minimum is {minimum}")
    codes = {"passed": ExitCode.OK, "failed": ExitCode.GATE_FAILED, "undecided": ExitCode.UNDECIDABLE}
    return codes[state]


def check_minimum(question: Question, minimum: float | None) -> None:
    """Refuse a gate that no score could ever pass, or none fail, before any image is made or judged."""
    if minimum is not None:
        empty = question.benchmark.aggregate(question.protocol, question.selection.items, [])
        check_gate(empty.metrics, minimum)


def check_strictness(strict: bool, minimum: float | None) -> None:
    """Refuse a way to gate without a gate."""
    if strict and minimum is None:
        raise UserError(
            "expected --min-overall beside --strict-gate, found none; fix: give both, or leave both out"
        )


def check_gate(metrics: Sequence[Metric], minimum: float) -> Metric:
    """Return the score that the gate looks at; UserError where there is none, or none could pass or fail."""
    overall = next((one for one in metrics if one.name == "overall"), None)
    if overall is None:
        names = ", ".join(one.name for one in metrics)
        raise UserError(
            f"expected a benchmark with an overall score for --min-overall, found one of {names}; fix: leave "
            "it out, and gate on the difference: lumina-eval compare BASELINE RUN --gate --margin NUMBER"
        )
    low, high = BOUNDS.get(overall.unit, (-math.inf, math.inf))
    if not low <= minimum <= high:
        raise UserError(
            f"expected --min-overall from {low:g} to {high:g}, the range of this score, found {minimum:g}; "
            "fix: give it in the unit of the table"
        )
    return overall


def tell_plan(
    question: Question, model: Model, site: Site, streams: Output, shard: Shard | None = None
) -> None:
    """Print what a run would make: images, disk, and hours where an earlier run tells the speed."""
    plan = make_plan(question.selection, question.protocol, model, site.batch_size)
    plan = plan if shard is None else shard.of(plan)
    absent = missing(plan, site.store)
    sampling = model.sampling()
    width, height = (sampling.get(name) or sampling.get("size") for name in ("width", "height"))
    size = width * height * 3 / 1e9 if isinstance(width, int) and isinstance(height, int) else None
    speed = _seconds_per_image(site.out, model)
    price = getattr(model, "cost_per_image", None)
    record: dict[str, Any] = {
        "schema": 1,
        "dry_run": True,
        "benchmark": question.benchmark.name,
        "protocol": question.protocol.name,
        "suite": question.selection.suite,
        "subset": question.selection.subset,
        "model": model.name,
        "checkpoint": model.checkpoint,
        "stage": model.stage,
        "step": model.step,
        "prompts": len(question.selection.items),
        "images": len(plan.images),
        "missing": len(absent),
        "batch_size": site.batch_size,
        "batch_size_found": site.batch_size_found,
        "hours": None if speed is None else round(len(absent) * speed / 3600, 4),
        "gigabytes_at_most": None if size is None else round(len(absent) * size, 4),
        "usd": None if price is None else round(len(absent) * price, 4),
    }
    streams.emit(record)
    spent = "unknown time" if speed is None else f"about {span(len(absent) * speed)}"
    disk = "unknown size" if size is None else f"at most {filesize.decimal(int(len(absent) * size * 1e9))}"
    cost = "" if price is None else f", {record['usd']} USD without retries"
    streams.result(
        f"{title_of(model)}: {len(question.selection.items)} prompts, {len(plan.images)} images, "
        f"{len(absent)} to make, {spent} on {model.device}, {disk}{cost}, into {site.store.root}"
    )


def _seconds_per_image(out: Path, model: Model) -> float | None:
    """Return the speed that this model had in earlier runs below ``out``."""
    seconds = images = 0.0
    for run_dir in find_runs(out):
        manifest = read_manifest(run_dir)
        if manifest.components != dict(model.components()) or manifest.device != model.device:
            continue
        for _, line in valid_lines(run_dir / "timings.jsonl"):
            if line["step"] == "generate":
                seconds, images = seconds + line["seconds"], images + line["images"]
    return seconds / images if images else None
