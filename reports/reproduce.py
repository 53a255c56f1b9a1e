"""How to get the same numbers again: everything a manifest knows, said once where all runs agree."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.digests import canonical_json
from lumina_eval.receipts.places import without_places
from reports.groups import Group
from reports.loading import RunView
from reports.numbers import duration
from reports.table import EM_DASH


@dataclasses.dataclass(frozen=True)
class Facts:
    """Named facts under a title, in order."""

    title: str
    pairs: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Command lines, what all runs share, and what each has of its own."""

    commands: tuple[str, ...]
    shared: Facts
    own: tuple[Facts, ...]


def recipe(group: Group) -> Recipe:
    """Gather the facts of all runs of a group."""
    facts = [facts_of(run) for run in group.runs]
    common = {name for name in facts[0] if all(found.get(name) == facts[0][name] for found in facts)}
    own = tuple(
        Facts(group.label(run), tuple((name, value) for name, value in found.items() if name not in common))
        for run, found in zip(group.runs, facts, strict=True)
    )
    shared = Facts("All runs", tuple((name, value) for name, value in facts[0].items() if name in common))
    commands = dict.fromkeys(command(run.manifest.argv) for run in group.runs if run.manifest.argv)
    return Recipe(tuple(commands), shared, tuple(one for one in own if one.pairs))


def command(argv: Sequence[str]) -> str:
    """Return a command line that a shell reads back as ``argv``; the program by its name, not its place."""
    return shlex.join([Path(argv[0]).name, *argv[1:]])


def facts_of(run: RunView) -> dict[str, str]:
    """Return everything that the number depends on, and what it cost, by name."""
    manifest = run.manifest
    made = manifest.provenance
    dirty = {True: "yes: there were changes that are in no commit", False: "no", None: EM_DASH}
    return {
        "code (git)": made.git_sha or EM_DASH,
        "uncommitted changes": dirty[made.git_dirty],
        "protocol digest": manifest.protocol_digest,
        "intervals version": str(run.result.intervals_version),
        "suite": manifest.suite or EM_DASH,
        "subset": manifest.subset or "none, the whole protocol",
        **_flat("rewriting", manifest.rewriting.model_dump() if manifest.rewriting else {}),
        "base seed": str(manifest.base_seed),
        "images per prompt": str(manifest.images_per_prompt),
        "batch size": _text(manifest.batch_size),
        "judge": manifest.judge,
        "judge kind": manifest.judge_kind,
        "judge digest": manifest.judge_digest,
        **_flat("judge setting", manifest.judge_settings),
        "model": manifest.model,
        "checkpoint": without_places(manifest.checkpoint or EM_DASH),
        "checkpoint digest": manifest.digest or EM_DASH,
        **_flat("component", manifest.components),
        **_flat("sampling", manifest.sampling),
        "sampler version": _text(manifest.sampler_version),
        "device": manifest.device or EM_DASH,
        **_flat("hardware", made.hardware),
        "python": made.python or EM_DASH,
        "platform": made.platform or EM_DASH,
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))
        or EM_DASH,
        "run": manifest.run_id,
        "finished": manifest.finished or EM_DASH,
        "time to generate": duration(manifest.seconds.generate),
        "time to judge": duration(manifest.seconds.judge),
    }


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    """One fact for each key, so that runs which differ in one value share the others."""
    return {f"{prefix}: {key}": _text(value) for key, value in values.items()}


def _text(value: Any) -> str:
    if value is None:
        return EM_DASH
    return value if isinstance(value, str) else canonical_json(value)
