"""One checkpoint on one protocol, from the plan to the run folder; each step resumes where it ended."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lumina_eval import plugins
from lumina_eval.digests import digest_of
from lumina_eval.failures import grouped
from lumina_eval.files import make_folder, sole_writer, write_lines
from lumina_eval.generation import Generated, generate, missing
from lumina_eval.judging import Judged, Sight, judge_images, judge_label, kept_verdicts
from lumina_eval.manifests import manifest_of, result_of
from lumina_eval.models.rewritten import RewrittenModel
from lumina_eval.plan import Plan, Selection, Shard, make_plan, model_identity, select
from lumina_eval.plugins import Benchmark, Judge, Model
from lumina_eval.progress import progress
from lumina_eval.protocol import ResolvedProtocol, resolve
from lumina_eval.provenance import provenance
from lumina_eval.records import Coverage, Manifest
from lumina_eval.runs import RunFolder, now, run_id
from lumina_eval.statistics.means import INTERVALS_VERSION
from lumina_eval.store import ImageStore

#: Kinds of failure that are spelled out in the warnings; all of them are in ``failures.jsonl``.
SHOWN_FAILURES = 3
#: The protocol where none is named.
OFFICIAL = "official"


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked: a benchmark, its protocol and a selection of prompts."""

    benchmark: Benchmark
    protocol: ResolvedProtocol
    selection: Selection


@dataclasses.dataclass(frozen=True)
class Site:
    """Where it happens: folders, batch size, and where people are told."""

    out: Path
    store: ImageStore
    batch_size: int
    console: Console
    argv: Sequence[str] = ()
    distributions: Sequence[str] = ()
    """Distributions of the plug-ins that take part."""
    batch_size_found: bool = False
    """Whether the model found the batch size by trial."""


def find_protocol(benchmark: Benchmark, name: str, changes: Sequence[str] = ()) -> ResolvedProtocol:
    """Return a protocol of ``benchmark`` by name or TOML path, with ``KEY=VALUE`` changes.

    Where there is no ``official`` one, that name stands for the benchmark's ``default_protocol``.
    """
    known, files = getattr(benchmark, "protocol_keys", None), benchmark.protocols()
    if name == OFFICIAL and name not in files:
        name = getattr(benchmark, "default_protocol", name)
    return resolve(name, files, changes, known, f"protocol of {benchmark.name}")


def ask(
    benchmark: str,
    protocol: str,
    changes: Sequence[str] = (),
    suite: str = "standard",
    limit: int | None = None,
    images_per_prompt: int | None = None,
    questions: Path | None = None,
    parses: Path | None = None,
    reference: str | None = None,
    features: Path | None = None,
) -> Question:
    """Work out what is asked; any name that nothing answers to is a :class:`UserError`."""
    found = plugins.benchmark(benchmark, questions, parses, reference, features)
    resolved = find_protocol(found, protocol, changes)
    selection = select(found.items(resolved), resolved.suite(suite), limit, images_per_prompt)
    return Question(found, resolved, selection)


def title_of(model: Model) -> str:
    """Return the name for tables: the model's own title, else e.g. ``embedded:low_res``."""
    usual = f"{model.name}:{model.stage}" if model.stage else model.name
    return str(getattr(model, "title", None) or usual)


def make_images(
    question: Question, model: Model, site: Site, shard: Shard | None = None
) -> tuple[Plan, Generated]:
    """Make the images of the plan, or of a part of it, that the store lacks; return what was to be made."""
    plan = make_plan(question.selection, question.protocol, model, site.batch_size)
    plan = plan if shard is None else shard.of(plan)
    return plan, _make_missing(plan, model, site, _absent(plan, site), None)


def evaluate(question: Question, model: Model, judge: Judge, site: Site) -> Path:
    """Generate, judge and add up; return the run folder. The same call again finds everything done."""
    plan = make_plan(question.selection, question.protocol, model, site.batch_size)
    manifest = _manifest(question, model, judge, plan, site)
    folder = RunFolder(make_folder(site.out / "runs" / manifest.run_id))
    with sole_writer(folder.path):
        absent = _absent(plan, site)
        refs = [image.ref for image in plan.images]
        manifest = folder.begin(manifest, plan.selection.items, refs, made=not absent)
        if isinstance(model, RewrittenModel):
            write_lines(folder.path / "rewritten.jsonl", model.lines)
        generated = _make_missing(plan, model, site, absent, folder)
        judged = _judge_plan(plan, judge, site, folder, title_of(model))
        coverage_failures = _failures(plan, generated, judged)
        conclude(question, manifest, folder, judged, coverage_failures, expected=len(plan.images))
    return folder.path


def conclude(
    question: Question,
    manifest: Manifest,
    folder: RunFolder,
    judged: Judged,
    failures: Sequence[Mapping[str, Any]],
    expected: int,
    generated: int | None = None,
) -> None:
    """Apply the rules to the verdicts and write the records that say how it ended."""
    aggregate = question.benchmark.aggregate(question.protocol, question.selection.items, judged.verdicts)
    absent = sum(1 for failure in failures if failure["step"] == "generate")
    result = result_of(
        manifest,
        aggregate.metrics,
        INTERVALS_VERSION,
        Coverage(
            expected=expected,
            generated=expected - absent if generated is None else generated,
            judged=len(judged.verdicts),
            failed=expected - len(judged.verdicts),
            excluded=aggregate.excluded,
        ),
        [*_warnings(failures, expected, len(judged.verdicts)), *aggregate.warnings],
        aggregate.against,
    )
    folder.finish(result, aggregate, failures)
    seconds = folder.seconds()
    if manifest.finished is None or seconds != manifest.seconds:
        folder.write_manifest(manifest.model_copy(update={"finished": now(), "seconds": seconds}))


def _absent(plan: Plan, site: Site) -> set[str]:
    """Return the keys that the store lacks; raise UserError if it cannot be written."""
    return missing(plan, site.store.open())


def _make_missing(
    plan: Plan, model: Model, site: Site, absent: set[str], folder: RunFolder | None
) -> Generated:
    bind = getattr(model, "bind", None)
    if bind is not None:
        bind(plan.images)
    total = sum(len(batch) for batch in plan.batches)
    if not absent:
        return Generated(0, {})
    if folder is not None:
        folder.start_clock()
    with progress(site.console, f"generate {title_of(model)}", total, total - len(absent)) as bar:

        def advance(count: int) -> None:
            if folder is not None:
                folder.tick("generate", count)
            bar(count)

        return generate(plan, model, site.store, absent, advance)


def _judge_plan(plan: Plan, judge: Judge, site: Site, folder: RunFolder, title: str) -> Judged:
    store = site.store
    digests = {image.ref.key: store.sha256(image.ref.key) for batch in plan.batches for image in batch}
    sights = [
        Sight(
            image.item, image.ref.index, digests[image.ref.key], functools.partial(store.read, image.ref.key)
        )
        for image in plan.images
    ]
    return judge_sights(sights, judge, site, folder, title)


def judge_sights(sights: Sequence[Sight], judge: Judge, site: Site, folder: RunFolder, title: str) -> Judged:
    """Judge with a progress bar, noting the time of each batch."""
    done = len(kept_verdicts(folder.verdicts_path, judge_label(judge), sights))
    folder.start_clock()
    there = sum(sight.sha256 is not None for sight in sights)
    with progress(site.console, f"judge {title}", there, done) as bar:

        def advance(count: int) -> None:
            folder.tick("judge", count)
            bar(count)

        return judge_images(sights, judge, folder.verdicts_path, site.batch_size, advance)


def _manifest(question: Question, model: Model, judge: Judge, plan: Plan, site: Site) -> Manifest:
    selection, protocol = question.selection, question.protocol
    identity = {
        "benchmark": question.benchmark.name,
        "protocol": protocol.name,
        "protocol_digest": protocol.digest,
        "items": digest_of([item.model_dump(mode="json") for item in selection.items]),
        "images_per_prompt": selection.images_per_prompt,
        "suite": selection.suite,
        "model": model.name,
        "stage": model.stage,
        "step": model.step,
        "identity": model_identity(model),
        "keys": digest_of([image.ref.key for image in plan.images]),
        "judge": judge_label(judge),
        **getattr(question.benchmark, "given", {}),
    }
    rewriting = model.rewriting if isinstance(model, RewrittenModel) else None
    stage = model.stage
    if rewriting is not None:  # a run as it is keeps the id that it had before there was rewriting
        identity["rewriting"] = rewriting.model_dump(mode="json", exclude={"name"})
        stage = f"{stage or 'none'}-rewritten"
    name = run_id(identity, question.benchmark.name, protocol.name, model.name, stage)
    return manifest_of(
        name,
        identity,
        question.benchmark.name,
        protocol,
        model,
        title=title_of(model),
        suite=selection.suite,
        subset=selection.subset,
        base_seed=protocol.base_seed,
        rewriting=rewriting,
        images_per_prompt=selection.images_per_prompt,
        batch_size=site.batch_size,
        batch_size_found=site.batch_size_found,
        judge=judge_label(judge),
        judge_kind=judge.kind,
        judge_digest=judge.digest,
        judge_settings=dict(judge.settings),
        store=os.path.relpath(site.store.root, site.out / "runs" / name),
        provenance=provenance(site.distributions),
        argv=list(site.argv),
        started=now(),
    )


def _failures(plan: Plan, generated: Generated, judged: Judged) -> list[dict[str, Any]]:
    """List the images without a verdict in plan order, with the step that failed and why."""
    found = []
    for image in plan.images:
        place = (image.ref.item_id, image.ref.index)
        if place not in judged.failed:
            continue
        reason = generated.failed.get(image.ref.key)
        found.append(
            {
                "item_id": place[0],
                "index": place[1],
                "key": image.ref.key,
                "step": "judge" if reason is None else "generate",
                "reason": judged.failed[place] if reason is None else reason,
            }
        )
    return found


def _warnings(failures: Sequence[Mapping[str, Any]], expected: int, judged: int) -> list[str]:
    if judged >= expected:
        return []
    shown = grouped(((_failed(failure), str(failure["reason"])) for failure in failures), SHOWN_FAILURES)
    return [f"incomplete: {judged} of {expected} images were judged", *shown]


def _failed(failure: Mapping[str, Any]) -> str:
    """Name the step, the image by its index from 0, as every record does, and its file if it is known."""
    file = f" ({failure['file']})" if failure.get("file") else ""
    return f"{failure['step']} failed for image {failure['index']} of item {failure['item_id']}{file}"
