"""What else than the models may be behind a difference of two runs, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from lumina_eval.records import Manifest, RunResult
from lumina_eval.statistics.pareto import Cost

#: Letters of a setting's value that are shown: a system prompt may be long.
_LONGEST: Final = 60


def warnings_of(
    manifests: Sequence[Manifest],
    results: Sequence[RunResult],
    costs: Sequence[Cost],
    names: Sequence[str],
    margin: float | None,
) -> Iterator[str]:
    """Yield a line for each; runs in one order everywhere, the baseline first."""
    if len({manifest.judge for manifest in manifests}) > 1:
        yield "the runs were judged by different judges: a part of each difference may be theirs"
    if len({m.rewriting.outputs if m.rewriting else None for m in manifests}) > 1:
        yield "the prompts were rewritten in some runs: a part of each difference may be theirs"
    yield from _sampled_otherwise(manifests, names)
    if len({m.images_per_prompt for m in manifests}) > 1:
        yield "the runs have different numbers of images per prompt: those with fewer are noisier"
    timed = [
        manifest.provenance.hardware
        for manifest, cost in zip(manifests, costs, strict=True)
        if cost.seconds_per_image is not None
    ]
    if any(hardware != timed[0] for hardware in timed):
        yield "the images were made on different machines or settings: their seconds do not compare"
    if subset := results[0].subset:
        yield f"a part of the protocol is compared: {subset}"
    for name, result in zip(names, results, strict=True):
        if not result.coverage.complete:
            yield (
                f"{name}: {result.coverage.judged} of {result.coverage.expected} images were judged; those "
                "that are missing count for nothing here"
            )
    units = {metric.unit for metric in results[0].metrics[:1]}
    if margin is not None and "percent" in units and 0 < margin < 0.1:
        yield f"the metric goes from 0 to 100, the margin is {margin:g}: was {margin * 100:g} meant?"


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """Return all that images hang on beside model and prompts, by the names that people know."""
    return {**manifest.sampling, "sampler version": manifest.sampler_version, "base seed": manifest.base_seed}


def sampling_in_words(manifest: Manifest) -> str:
    """Return the sampling on one line; settings that are off are left out."""
    known = {key: value for key, value in manifest.sampling.items() if value not in (None, "")}
    return (
        ", ".join(f"{key.replace('_', ' ')} {in_words(value)}" for key, value in known.items()) or "unknown"
    )


def in_words(value: object) -> str:
    """Return the value of a setting as a short text."""
    if value is None or value == "":
        return "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _sampled_otherwise(manifests: Sequence[Manifest], names: Sequence[str]) -> Iterator[str]:
    """Say of each run in which settings it is not as the first one; those alike stand together."""
    found: dict[str, list[str]] = {}
    first = settings_of(manifests[0])
    for manifest, name in zip(manifests[1:], names[1:], strict=True):
        if bool(manifest.sampling) != bool(manifests[0].sampling):
            found.setdefault("the sampling of one of them is not known", []).append(name)
            continue
        own = settings_of(manifest)
        changes = [
            f"{key.replace('_', ' ')} {in_words(first.get(key))} → {in_words(own.get(key))}"
            for key in dict.fromkeys([*first, *own])
            if first.get(key) != own.get(key)
        ]
        if changes:
            found.setdefault(", ".join(changes), []).append(name)
    for text, who in found.items():
        yield (
            f"{' and '.join(who)} against {names[0]}: {text}; a part of the difference may be the sampling's"
        )
