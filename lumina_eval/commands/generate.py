"""``generate``: the images of a run and nothing else."""

from __future__ import annotations

import typer

from lumina_eval.commands import options as o
from lumina_eval.commands.run import make_site, open_all, rewritten, tell_plan
from lumina_eval.commands.sizing import sizing
from lumina_eval.console import output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.evaluation import SHOWN_FAILURES, ask, make_images, title_of
from lumina_eval.failures import grouped
from lumina_eval.plan import Shard


def generate(
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
    set_: o.Changes = o.NONE,
    images_per_prompt: o.ImagesPerPrompt = None,
    batch_size: o.BatchSizeOrAuto = o.DEFAULT_BATCH_WORD,
    shard: o.ShardText = None,
    device: o.Device = "auto",
    out: o.Out = o.OUT,
    store: o.Store = None,
    dry_run: o.DryRun = False,
    as_json: o.AsJson = False,
) -> None:
    """Make the images of a run and nothing else; run with the same arguments then judges them."""
    code = ExitCode.OK
    with output(as_json) as streams:
        part = None if shard is None else Shard.parse(shard)
        given = o.batch_size_of(batch_size)
        if part and given is None:
            raise UserError(
                "expected a number for --batch-size beside --shard, found auto: each process would find one "
                "of its own, and cut other parts; fix: --batch-size 16"
            )
        question = ask(benchmark, protocol, set_, suite, limit, images_per_prompt, questions, parses)
        site = make_site(out, store, given or o.DEFAULT_BATCH_SIZE, streams, benchmark, model)
        models = open_all(model, o.model_options(option, device))
        models = rewritten(models, question, site, rewrite, rewrite_option, device, dry_run)
        sized = sizing(question, models, site, streams, dry_run) if given is None else lambda model: site
        for one in models:
            if dry_run:
                tell_plan(question, one, sized(one), streams, part)
                continue
            plan, generated = make_images(question, one, sized(one), part)
            record = {
                "schema": 1,
                "model": one.name,
                "stage": one.stage,
                "step": one.step,
                "store": str(site.store.root),
                "shard": shard,
                "expected": len(plan.images),
                "made": generated.made,
                "failed": len(generated.failed),
            }
            streams.emit(record)
            streams.result(f"{title_of(one)}: made {generated.made} images in {site.store.root}")
            told = ((title_of(one), reason) for reason in generated.failed.values())
            for text in grouped(told, SHOWN_FAILURES):
                streams.warn(text)
                code = ExitCode.INCOMPLETE
    raise typer.Exit(code)
