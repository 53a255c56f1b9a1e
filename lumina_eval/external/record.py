"""The run folder of what came from elsewhere: its manifest, and what the rules make of verdicts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lumina_eval.digests import digest_of
from lumina_eval.evaluation import Question, Site, conclude
from lumina_eval.external.expected import Expected
from lumina_eval.files import make_folder, sole_writer, write_lines
from lumina_eval.judging import Judged, verdict_line
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.provenance import provenance
from lumina_eval.records import Manifest, Verdict
from lumina_eval.runs import RunFolder, now, run_id


@dataclasses.dataclass(frozen=True)
class Source:
    """What came from elsewhere; it stands in the record where a run of ours has its model."""

    kind: Literal["images", "verdicts", "features"]
    path: Path
    content: str
    """A sha256 of all of it."""


def manifest_of(
    bench: Benchmark,
    protocol: ResolvedProtocol,
    source: Source,
    expected: Expected,
    site: Site,
    **judge: Any,
) -> Manifest:
    """Return the manifest; ``judge`` are its fields about the judge, and others that differ by kind.

    The subset follows from what the identity holds: prompts, content, and what is expected.
    """
    identity = {
        "benchmark": bench.name,
        "protocol": protocol.name,
        "protocol_digest": protocol.digest,
        "items": digest_of([item.model_dump(mode="json") for item in expected.items]),
        "images_per_prompt": expected.images_per_prompt,
        "expected": expected.images,
        "kind": source.kind,
        "content": source.content,
        "judge": judge["judge"],
        **getattr(bench, "given", {}),
    }
    title = source.path.resolve().stem
    return Manifest(
        run_id=run_id(identity, bench.name, protocol.name, source.kind, title),
        run_digest=digest_of(identity),
        benchmark=bench.name,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        protocol_values=dict(protocol.values),
        changed=list(protocol.changed),
        model=source.kind,
        title=title,
        checkpoint=str(source.path),
        components={source.kind: source.content},
        digest=source.content,
        subset=expected.selection.subset,
        images_per_prompt=expected.selection.images_per_prompt,
        store=os.path.relpath(site.store.root, site.out / "runs" / "any"),
        provenance=provenance(site.distributions),
        argv=list(site.argv),
        started=now(),
        **judge,
    )


def saved_judge(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Return what a manifest says of the judge where it is known by its verdicts alone."""
    name = verdicts[0].judge if verdicts else "saved"
    return {"judge": name, "judge_kind": "saved", "judge_digest": "saved"}


def add_up(
    question: Question,
    manifest: Manifest,
    verdicts: Sequence[Verdict],
    failures: Sequence[Mapping[str, Any]],
    expected: int,
    site: Site,
) -> Path:
    """Write a run folder of verdicts that are there already."""
    run = RunFolder(make_folder(site.out / "runs" / manifest.run_id))
    with sole_writer(run.path):
        manifest = run.begin(manifest, question.selection.items, [])
        write_lines(run.verdicts_path, [verdict_line(verdict) for verdict in verdicts])
        conclude(
            question, manifest, run, Judged(list(verdicts), {}), failures, expected, generated=len(verdicts)
        )
    return run.path
