"""A run folder in MLflow's words: names, tags, parameters, points. Nothing here talks to a server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lumina_eval.digests import digest_of
from lumina_eval.records import Manifest, RunResult
from lumina_eval.runs import read_manifest, read_result

DIGEST_LENGTH = 32  # MLflow refuses a dataset digest of more than 36 characters
PARAM_LENGTH = 6000  # it truncates a longer value
PARAM_COUNT = 100  # and takes no more in one batch
EXPERIMENTS = "lumina-eval/"  # what stands before the model line in the name of an experiment
COMPLETE = "lumina.complete"  # the tag that a run bears when all of it was sent


def metric_key(*parts: str) -> str:
    """Join `parts` with `/` into a name that MLflow takes: letters, digits, `_`, `-`, `.`, space, `/`.

    A part that has to be changed gets a digest of the original, so that two names never become one.
    """
    return "/".join(_plain(piece) for part in parts for piece in part.split("/"))


def _plain(name: str) -> str:
    plain = re.sub(r"[^\w\-. ]", "_", name, flags=re.ASCII).strip() or "_"
    plain = plain.replace(".", "_") if set(plain) == {"."} else plain
    return plain if plain == name else f"{plain}-{digest_of(name)[:6]}"


@dataclass(frozen=True)
class Projection:
    """A run folder, read, as what MLflow is to be told of it."""

    run_dir: Path
    manifest: Manifest
    result: RunResult

    @classmethod
    def read(cls, run_dir: Path) -> Projection:
        """Read manifest and metrics; a UserError names the file that is missing or broken."""
        return cls(run_dir, read_manifest(run_dir), read_result(run_dir))

    @property
    def key(self) -> str:
        """Identity of the run and of what was measured: a record that changed is another MLflow run."""
        measured = [metric.model_dump() for metric in self.result.metrics]
        coverage = self.result.coverage.model_dump()
        return digest_of([self.manifest.run_digest, measured, coverage])[:DIGEST_LENGTH]

    @property
    def step(self) -> int:
        """The training step, 0 where there is none: MLflow's x axis has no unknown."""
        return self.result.step or 0

    @property
    def started_ms(self) -> int:
        """When the run began, in milliseconds since 1970."""
        return _milliseconds(self.manifest.started)

    @property
    def finished_ms(self) -> int:
        """When the run ended: the same at every attempt, so that a repeated point is recognised."""
        return _milliseconds(self.manifest.finished or self.manifest.started)

    @property
    def dataset(self) -> tuple[str, str]:
        """Name and digest of the prompts that were asked."""
        digest = digest_of([self.manifest.protocol_digest, self.result.subset])
        return f"{self.result.benchmark}/{self.result.protocol}", digest[:DIGEST_LENGTH]

    @property
    def variant(self) -> str:
        """`benchmark/protocol`, subset and rewriting if any: what may stand in one curve."""
        rewriting = self.result.rewriting
        texts = f"rewritten-{rewriting.outputs[:8]}" if rewriting else None
        parts = (self.result.benchmark, self.result.protocol, self.result.subset, texts)
        return metric_key(*(part for part in parts if part))

    @property
    def run_name(self) -> str:
        """`step/benchmark@protocol/subset`."""
        benchmark, _, rest = self.variant.partition("/")
        step = "" if self.result.step is None else f"{self.result.step}/"
        return f"{step}{benchmark}@{rest}"

    @property
    def model_name(self) -> str:
        """Name of the checkpoint, without the characters that MLflow refuses in one."""
        parts = [self.result.model, self.result.stage, self.result.step, (self.result.digest or "")[:8]]
        return re.sub(r"[^\w-]", "_", "-".join(str(part) for part in parts if part not in (None, "")))

    @property
    def weights(self) -> str:
        """Identity of the checkpoint, also where it has no digest."""
        return self.result.digest or digest_of([self.result.model, self.result.checkpoint, self.result.stage])

    @property
    def note(self) -> str:
        """What a run's page says above all else: the headline, its intervals, its limits."""
        result = self.result
        headline = result.metric("overall") or next(iter(result.metrics), None)
        said = []
        if headline is not None and headline.value is not None:
            known = (("seeds", headline.ci_seeds), ("prompts", headline.ci_prompts))
            ends = [f"{name} {one[0]:.4g} to {one[1]:.4g}" for name, one in known if one]
            bounds = f" (95 %: {'; '.join(ends)})" if ends else ""
            said.append(f"**{headline.name} {headline.value:.4g}**{bounds}.")
        cover = result.coverage
        said.append(f"{cover.judged} of {cover.expected} images judged.")
        limits = [f"subset: {result.subset}"] if result.subset else []
        limits += [result.rewriting.in_words] if result.rewriting else []
        limits += [f"changed: {change}" for change in result.changed]
        said += [f"**{limit}**." for limit in limits] + [f"\n\nWarning: {text}" for text in result.warnings]
        return " ".join(said) + "\n\nRecords are artifacts here, the report is one of the training run."

    def tags(self) -> dict[str, str]:
        """Return what a run is searched by."""
        result, manifest = self.result, self.manifest
        values = {
            "lumina.run_key": self.key,
            "lumina.run_digest": manifest.run_digest,
            "lumina.run_id": manifest.run_id,
            "lumina.benchmark": result.benchmark,
            "lumina.protocol": result.protocol,
            "lumina.protocol_sha256": manifest.protocol_digest,
            "lumina.suite": result.suite,
            "lumina.subset": result.subset,
            "lumina.rewriting": result.rewriting.in_words if result.rewriting else None,
            "lumina.stage": result.stage,
            "lumina.step": result.step,
            "lumina.weights_sha256": result.digest,
            "lumina.judge": manifest.judge,
            "lumina.coverage": f"{result.coverage.judged}/{result.coverage.expected}",
            "lumina.changed": ", ".join(result.changed) or None,
            "lumina.intervals_version": result.intervals_version,
            "mlflow.note.content": self.note,
            "mlflow.source.name": "lumina-eval",
            "mlflow.source.git.commit": manifest.provenance.git_sha,
            "git_sha": manifest.provenance.git_sha,
            "dirty": manifest.provenance.git_dirty,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    def params(self) -> dict[str, str]:
        """Return the settings, flat; the whole of them is in the artifact `manifest.json`."""
        names = (
            "benchmark", "protocol", "suite", "subset", "model", "checkpoint", "stage", "step", "judge",
            "images_per_prompt", "base_seed", "batch_size", "device", "sampler_version", "sampling",
        )  # fmt: skip
        flat = _flat({name: getattr(self.manifest, name) for name in names})
        return {metric_key(name): value[:PARAM_LENGTH] for name, value in list(flat.items())[:PARAM_COUNT]}

    def headlines(self) -> dict[str, float]:
        """Return the value of each metric by its name; what is unknown is left out."""
        return {metric.name: metric.value for metric in self.result.metrics if metric.value is not None}

    def points(self) -> dict[str, float]:
        """Return every number of the run by its MLflow name; what is unknown is left out."""
        points: dict[str, float | None] = {}
        for metric in self.result.metrics:
            key = metric_key(self.result.benchmark, metric.name)
            points[key] = metric.value
            for name, limits in (("ci_seeds", metric.ci_seeds), ("ci_prompts", metric.ci_prompts)):
                points[f"{key}/{name}_low"], points[f"{key}/{name}_high"] = limits or (None, None)
            points[f"{key}/n_prompts"], points[f"{key}/n_images"] = metric.n_prompts, metric.n_images
        points |= {f"coverage/{name}": value for name, value in self.result.coverage.model_dump().items()}
        points |= {f"seconds/{name}": value for name, value in self.manifest.seconds.model_dump().items()}
        return {name: float(value) for name, value in points.items() if value is not None}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings become dotted names; lists stay JSON; None is left out."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _milliseconds(moment: str | None) -> int:
    """ISO 8601 to milliseconds since 1970; now if unknown."""
    return int((datetime.fromisoformat(moment).timestamp() if moment else time.time()) * 1000)
