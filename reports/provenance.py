"""Where the numbers of a table come from, in two or three lines below it, made from the runs' own records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lumina_eval.digests import canonical_json
from reports.loading import RunView
from reports.numbers import EM_DASH

#: Digits of a digest that are written; the whole ones are in the manifests.
DIGITS = 12

Label = Callable[[RunView], str]


def provenance(runs: Sequence[RunView], label: Label) -> tuple[str, ...]:
    """Return what the numbers of ``runs`` depend on: rules and judge; then sampling, noise and weights.

    What all have in common is said once; where they differ each is named by its ``label``.
    """
    return (rules(runs, label), making(runs, label)) if runs else ()


def rules(runs: Sequence[RunView], label: Label) -> str:
    """Say in one line what was asked and who judged."""
    parts = [
        _said(runs, label, "protocol", lambda run: f"{run.manifest.benchmark}/{run.manifest.protocol}"),
        _said(runs, label, "protocol digest", lambda run: run.manifest.protocol_digest[:DIGITS]),
        _said(runs, label, "suite", lambda run: run.manifest.suite),
        _said(runs, label, "judge", lambda run: run.manifest.judge.partition("@")[0]),
        _said(runs, label, "judge digest", lambda run: run.manifest.judge_digest[:DIGITS]),
        _said(runs, label, "images per prompt", lambda run: run.manifest.images_per_prompt),
    ]
    return _sentence(parts)


def making(runs: Sequence[RunView], label: Label) -> str:
    """Say in one line how the images were made; settings that are off are left out."""
    keys = dict.fromkeys(key for run in runs for key in run.manifest.sampling)
    shared = {key for key in keys if len({_text(run.manifest.sampling.get(key)) for run in runs}) == 1}
    common = _said(runs, label, "sampling", lambda run: _settings(run, shared))
    parts = [
        common,
        _said(runs, label, "" if common else "sampling", lambda run: _settings(run, keys.keys() - shared)),
        _said(runs, label, "base seed", lambda run: run.manifest.base_seed),
        _said(runs, label, "device", lambda run: run.manifest.device),
        _said(runs, label, "checkpoint digest", lambda run: (run.manifest.digest or "")[:DIGITS]),
        _said(runs, label, "commit", lambda run: (run.manifest.provenance.git_sha or "")[:DIGITS]),
    ]
    return _sentence(parts)


def _said(runs: Sequence[RunView], label: Label, name: str, of: Callable[[RunView], object]) -> str:
    """Return ``name value``, or each value with its labels where runs differ; nothing if it is unknown."""
    values: dict[str, list[str]] = {}
    for run in runs:
        values.setdefault(_text(of(run)), []).append(label(run))
    if set(values) <= {EM_DASH, ""}:
        return ""
    if len(values) == 1:
        return f"{name} {next(iter(values))}"
    shown = ", ".join(f"{value} ({', '.join(dict.fromkeys(who))})" for value, who in values.items())
    return f"{name} {shown}".strip()


def _settings(run: RunView, keys: Iterable[str]) -> str:
    found = {key: run.manifest.sampling.get(key) for key in sorted(keys)}
    return " ".join(f"{key}={_text(value)}" for key, value in found.items() if value not in (None, ""))


def _text(value: object) -> str:
    if value is None:
        return EM_DASH
    return value if isinstance(value, str) else canonical_json(value)


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}."
