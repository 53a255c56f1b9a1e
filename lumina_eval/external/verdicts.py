"""Saved verdicts: the rules are applied to them, and no image is looked at.

They may be in the benchmark's own form, or those of a run folder of ours, so that a rule can change without
judging again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumina_eval import plugins
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.evaluation import Question, Site, find_protocol
from lumina_eval.external.asking import offered, prompts_at_hand
from lumina_eval.external.expected import expect, highest
from lumina_eval.external.record import Source, add_up, manifest_of, saved_judge
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Manifest, Verdict
from lumina_eval.runs import read_items, read_manifest, read_verdicts


def judge_verdicts(
    benchmark: str,
    protocol: str,
    changes: Sequence[str],
    file: Path,
    site: Site,
    images_per_prompt: int | None = None,
    complete: bool = False,
    questions: Path | None = None,
    reference: str | None = None,
    features: Path | None = None,
) -> Path:
    """Apply the rules to saved verdicts, in the benchmark's own form or ours; return the run folder.

    Raises UserError if the file has more images of a prompt than are asked for.
    """
    bench = plugins.benchmark(benchmark, questions, None, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    if not file.is_file():
        raise UserError(f"expected a verdict file, found none at {file}")
    given: Sequence[Item]
    verdicts: Sequence[Verdict]
    before = _run_before(file, benchmark)
    if before is not None:
        given, verdicts = read_items(file.parent), read_verdicts(file.parent)
        _check_same_prompts(before, bench, resolved, given, file)
    else:
        given, verdicts = offered(bench, "read_verdicts", "--verdicts")(file, resolved)
    places = {(verdict.item_id, verdict.index): file for verdict in verdicts}
    if before is not None:
        held = before.images_per_prompt
    else:
        held = highest(places) if getattr(bench, "whole_prompts", False) else 0
    expected = expect(
        given,
        places,
        prompts_at_hand(bench, resolved, needed=complete),
        resolved.suite("standard").images_per_prompt,
        images_per_prompt,
        held,
        complete,
    )
    # A line may point to another file (a depth map), which its verdict's own digest knows of.
    content = digest_of([sha256_file(file), *(verdict.image_sha256 for verdict in verdicts)])
    manifest = manifest_of(
        bench, resolved, Source("verdicts", file, content), expected, site,
        **saved_judge(verdicts), rewriting=before.rewriting if before else None,
    )  # fmt: skip
    question = Question(bench, resolved, expected.selection)
    failures = expected.failures("no verdict in the file")
    return add_up(question, manifest, verdicts, failures, expected.images, site)


def _run_before(file: Path, benchmark: str) -> Manifest | None:
    """Return the manifest of the run folder that the file is part of, if it is.

    Raises UserError if the run is of another benchmark.
    """
    if file.name != "verdicts.jsonl" or not (file.parent / "manifest.json").is_file():
        return None
    before = read_manifest(file.parent)
    if before.benchmark != benchmark:
        raise UserError(f"expected verdicts of {benchmark}, found those of {before.benchmark}, in {file}")
    return before


def _check_same_prompts(
    before: Manifest, bench: Benchmark, protocol: ResolvedProtocol, given: Sequence[Item], file: Path
) -> None:
    """Raise UserError if the run was on another protocol, and the two share no prompt."""
    if before.protocol == protocol.name:
        return
    whole = prompts_at_hand(bench, protocol)
    if whole is None or {item.prompt for item in whole} & {item.prompt for item in given}:
        return
    raise UserError(
        f"expected verdicts on prompts of protocol {protocol.name}, found those of protocol "
        f"{before.protocol}, with which it shares no prompt, in {file}; fix: --protocol {before.protocol}"
    )
