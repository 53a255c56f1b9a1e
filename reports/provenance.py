"""Where the numbers of a table come from, in two or three lines below it, made from the runs' own records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lumina_eval.digests import canonical_json
from reports.loading import RunView
from reports.numbers import EM_DASH

#: Digits of a digest that are written; the whole ones are in the manifests.
DIGITS = 12


def provenance(runs: Sequence[RunView], label: Callable[[RunView], str]) -> tuple[str, ...]:
    """Return what the numbers of ``runs`` depend on: rules and judge; images and noise; sampling and weights.

    What all have in common is said once; where they differ each is named by its ``label``.
    """
    if not runs:
        return ()

    def said(name: str, of: Callable[[RunView], object]) -> str:
        values = {label(run): _text(of(run)) for run in runs}
        if len(set(values.values())) == 1:
            return f"{name} {next(iter(values.values()))}"
        return f"{name} {', '.join(f'{value} ({who})' for who, value in values.items())}"

    rules = [
        said("protocol", lambda run: f"{run.manifest.benchmark}/{run.manifest.protocol}"),
        said("protocol digest", lambda run: run.manifest.protocol_digest[:DIGITS]),
        *([said("suite", lambda run: run.manifest.suite)] if any(run.manifest.suite for run in runs) else []),
        said("judge", lambda run: run.manifest.judge.partition("@")[0]),
        said("judge digest", lambda run: run.manifest.judge_digest[:DIGITS]),
    ]
    images = [
        said("images per prompt", lambda run: run.manifest.images_per_prompt),
        said("base seed", lambda run: run.manifest.base_seed),
        said("code", lambda run: (run.manifest.provenance.git_sha or EM_DASH)[:DIGITS]),
    ]
    weights = said("checkpoint digest", lambda run: (run.manifest.digest or EM_DASH)[:DIGITS])
    return (
        f"{_sentence(rules)}; {'; '.join(images)}.",
        f"{_sentence([*_sampling(runs, label), weights])}.",
    )


def _sampling(runs: Sequence[RunView], label: Callable[[RunView], str]) -> list[str]:
    """The sampling that all share, then what each has of its own."""
    every = [run for run in runs if run.manifest.sampling]
    if not every:
        return ["sampling not recorded"]
    first = every[0].manifest.sampling
    shared = {key: value for key, value in first.items() if all(
        key in run.manifest.sampling and run.manifest.sampling[key] == value for run in every
    )}  # fmt: skip
    lines = [f"sampling {_settings(shared)}"] if shared else []
    for run in every:
        own = {key: value for key, value in run.manifest.sampling.items() if key not in shared}
        lines += [f"{label(run)}: {_settings(own)}"] if own else []
    return lines


def _settings(values: dict[str, object]) -> str:
    return ", ".join(f"{key}={_text(value)}" for key, value in sorted(values.items()))


def _text(value: object) -> str:
    if value is None:
        return EM_DASH
    return value if isinstance(value, str) else canonical_json(value)


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]
