"""``verify``: a benchmark's own code against figures that others published."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.commands.run import make_site
from lumina_eval.console import output
from lumina_eval.errors import UserError
from lumina_eval.verification import Check, Evidence, keep, verdict_of


def verify(
    benchmark: o.BenchmarkName,
    images: Annotated[
        Path | None, typer.Option(help="Images in place of the published ones.", show_default=False)
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option(help="Saved verdicts in place of judging.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of published files, in place of fetching.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing.")] = False,
    batch_size: o.BatchSize = o.DEFAULT_BATCH_SIZE,
    out: o.Out = o.OUT,
    as_json: o.AsJson = False,
) -> None:
    """Compare with published figures: PASS, FAIL or not run for each, kept in OUT/parity.jsonl.

    Exit code 1 if a figure is not met, 4 if one could not be had.
    """
    with output(as_json) as streams:
        found: Callable[[Evidence], Iterable[Check]] | None = getattr(
            plugins.benchmark(benchmark), "verification", None
        )
        if found is None:
            raise UserError(f"benchmark {benchmark} has nothing to be verified against")
        for given in (images, data):
            if given is not None and not given.is_dir():
                raise UserError(f"expected a folder, found none at {given}")
        if verdicts is not None and not verdicts.is_file():
            raise UserError(f"expected a verdict file, found none at {verdicts}")
        site = make_site(out, None, batch_size, streams, benchmark, [])
        evidence = Evidence(site, images, verdicts, data, offline)
        checks: list[Check] = []
        for (absent, note), alike in itertools.groupby(found(evidence), _absence):
            told: list[Check] = []
            for one in alike:
                streams.emit({"schema": 1, "state": one.state, **one.model_dump(mode="json")})
                if not absent:
                    streams.result(_line(one, "as above" if told and note else note))
                told.append(one)
            if absent:
                streams.result(_absent(told))
            checks += told
        for text in evidence.warnings:
            streams.warn(text)
        ledger = keep(benchmark, checks, evidence, site.argv)
        states = [one.state for one in checks]
        streams.result(
            f"{states.count('PASS')} PASS, {states.count('FAIL')} FAIL, {states.count('not run')} not run"
        )
        streams.result(f"ledger  {ledger}")
        code = verdict_of(checks)
    raise typer.Exit(code)


def _absence(check: Check) -> tuple[bool, str]:
    """Whether a figure could not be had, and its note: neighbours that are alike in both are told as one."""
    return check.state == "not run", check.note


def _absent(checks: Sequence[Check]) -> str:
    """Say of figures that could not be had for one reason which they are, and the reason once."""
    first, last = checks[0], checks[-1]
    if len(checks) == 1:
        return f"{first.state:8} {first.name:32} {first.note}"
    return f"{first.state:8} {len(checks)} figures, from {first.name!r} to {last.name!r}: {first.note}"


def _line(check: Check, note: str) -> str:
    """Return a figure that was had, and what was published."""
    assert check.found is not None
    assert check.expected is not None
    if check.at_least:
        wanted = f"at least {check.expected - check.tolerance:.4f}"
    else:
        wanted = f"{check.expected:.4f} ± {check.tolerance:g}"
    words = f"{check.found:.4f}, expected {wanted} ({check.against}), n = {check.n}"
    return f"{check.state:8} {check.name:32} {words}{f', {note}' if note else ''}"
