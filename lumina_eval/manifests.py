"""What the records of a run say of its question and its model: the same for verdicts and for times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lumina_eval.digests import digest_of
from lumina_eval.plan import components_digest
from lumina_eval.plugins import Model
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Coverage, Manifest, Metric, RunResult


def manifest_of(
    run_id: str,
    identity: Mapping[str, Any],
    benchmark: str,
    protocol: ResolvedProtocol,
    model: Model,
    **rest: Any,
) -> Manifest:
    """Return the manifest of a run of ``model``.

    ``identity`` is what the run's digest is made of; ``rest`` are the fields that protocol and model do not
    know: title, how much was asked, judge, places, provenance, times.
    """
    components = dict(model.components())
    return Manifest(
        run_id=run_id,
        run_digest=digest_of(identity),
        benchmark=benchmark,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        protocol_values=dict(protocol.values),
        changed=list(protocol.changed),
        model=model.name,
        checkpoint=model.checkpoint,
        digest=components_digest(components),
        components=components,
        stage=model.stage,
        step=model.step,
        sampling=dict(model.sampling()),
        sampler_version=model.sampler_version,
        device=model.device,
        **rest,
    )


def result_of(
    manifest: Manifest,
    metrics: Sequence[Metric],
    intervals_version: int,
    coverage: Coverage,
    warnings: Sequence[str],
    against: Sequence[str] = (),
) -> RunResult:
    """Return the result of a run; what was asked of which model stands in its manifest."""
    return RunResult(
        benchmark=manifest.benchmark,
        protocol=manifest.protocol,
        suite=manifest.suite,
        subset=manifest.subset,
        model=manifest.model,
        checkpoint=manifest.checkpoint,
        digest=manifest.digest,
        stage=manifest.stage,
        step=manifest.step,
        title=manifest.title,
        changed=manifest.changed,
        rewriting=manifest.rewriting,
        metrics=list(metrics),
        intervals_version=intervals_version,
        coverage=coverage,
        warnings=list(warnings),
        against=list(against),
    )
