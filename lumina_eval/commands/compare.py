"""``compare``: is a later run better than the first one, prompt by prompt?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Annotated

import typer

from lumina_eval.commands import options as o
from lumina_eval.commands.compare_markdown import markdown
from lumina_eval.commands.compare_table import (
    best_lines,
    comparison_tables,
    few_images,
    front_table,
    legend,
)
from lumina_eval.commands.compare_warnings import warnings_of
from lumina_eval.console import Output, output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.files import write_atomic
from lumina_eval.records import Manifest, RunResult, Score
from lumina_eval.run_lists import expand, without_times
from lumina_eval.runs import read_manifest, read_result, read_scores
from lumina_eval.statistics.comparison import Comparison, compare_many
from lumina_eval.statistics.endpoint import Endpoint, endpoint_of
from lumina_eval.statistics.gates import comparison_gate
from lumina_eval.statistics.pairing import pair_runs
from lumina_eval.statistics.pareto import Cost, cost_of, front
from lumina_eval.statistics.selection import best_of
from lumina_eval.units import digits as places

_WANTED = "runs with a score for every image"
_INSTEAD = "lumina-eval report sets measurements side by side; compare the runs of their scores"
_CODES = {"passed": ExitCode.OK, "failed": ExitCode.GATE_FAILED, "undecided": ExitCode.UNDECIDABLE}


def compare(
    run_dirs: o.RunDirs,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Difference that does not matter, in points of the metric: 0.01 of 0 to 1, 1 of 0 to 100.",
            show_default=False,
        ),
    ] = None,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            help="Markdown for a pull request, and exit 1 if the last run is worse than the first (by the "
            "margin, if there is one), 3 if these prompts cannot tell.",
        ),
    ] = False,
    best: Annotated[
        bool,
        typer.Option("--best", help="Choose the best run on half of the prompts, report the other half."),
    ] = False,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write the comparison to FILE as Markdown.", show_default=False),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Compare runs with the first one, paired by prompt: differences, intervals, wins and losses, cost.

    Of a folder that holds runs/ the first one is that of the lowest training step. A run on other prompts
    than the first one's is left out, and said.
    """
    with output(as_json) as streams:
        folders = _in_order(run_dirs, streams)
        if len(folders) < 2:
            raise UserError(
                f"expected at least two run folders to compare, found one, {folders[0]}; fix: add another"
            )
        manifests, results = [read_manifest(f) for f in folders], [read_result(f) for f in folders]
        _refuse(manifests, results)
        names = names_of(folders, results)
        scores = dict(zip(names, (read_scores(f) for f in folders), strict=True))
        apart = _on_other_prompts(scores, needed=names[-1] if gate else None)
        kept = [name not in apart for name in names]
        folders, names = list(compress(folders, kept)), list(compress(names, kept))
        manifests, results = list(compress(manifests, kept)), list(compress(results, kept))
        scores = {name: scores[name] for name in names}
        costs = [cost_of(folder) for folder in folders]
        told = [f"{name} is not compared: {reason}" for name, reason in apart.items()]
        told += warnings_of(manifests, results, costs, names, margin)
        for text in told:
            streams.warn(text)
        endpoint = endpoint_of(list(zip(results, scores.values(), strict=True)))
        compared = _compared(scores, costs, endpoint, margin)
        if gate:
            compared[-1] = compared[-1].model_copy(update={"gate": comparison_gate(compared[-1])})
        for one in compared:
            streams.emit(one)
        text = markdown(compared, manifests, results, folders, told, gated=gate)
        if markdown_file is not None:
            write_atomic(markdown_file, text.encode())
        if gate and not as_json:
            typer.echo(text, nl=False)
        else:
            for table in comparison_tables(compared):
                streams.tables.print(table)
            for line in legend(compared):
                streams.result(line)
            streams.tables.print(front_table(compared))
            if note := few_images(compared):
                streams.result(note)
        if best:
            _best(scores, endpoint, streams, people=not gate)
        code = _CODES[comparison_gate(compared[-1])] if gate else ExitCode.OK
        if gate and not all(results[place].coverage.complete for place in (0, -1)):
            code = ExitCode.INCOMPLETE
    raise typer.Exit(code)


def _in_order(run_dirs: Sequence[Path], streams: Output) -> list[Path]:
    """Return the run folders as given; of a folder that holds ``runs/`` those of training steps, by step.

    Measurements of time in such a folder are passed over, and said. What has no step beside those that have
    one is left out, and said: a ceiling is no checkpoint.
    """
    found: dict[Path, None] = {}
    for given in run_dirs:
        judged, times = without_times(expand([given]), run_dirs, _WANTED, _INSTEAD)
        for text in times:
            streams.warn(f"passed over: {text}")
        steps = {folder: read_manifest(folder).step for folder in judged}
        known = {folder: step for folder, step in steps.items() if step is not None}
        aside = [folder.name for folder in steps if folder not in known]
        if known and aside:
            streams.warn(f"left out, for want of a training step: {', '.join(aside)}; name runs to have them")
        found |= dict.fromkeys(sorted(known, key=lambda folder: known[folder]) if known else steps)
    return list(found)


def names_of(folders: Sequence[Path], results: Sequence[RunResult]) -> list[str]:
    """Return a name for each run: its title, or its folder where titles are not different."""
    names = [str(result.title or result.model) for result in results]
    return names if len(set(names)) == len(names) else [folder.resolve().name for folder in folders]


def _refuse(manifests: Sequence[Manifest], results: Sequence[RunResult]) -> None:
    asked = {(m.benchmark, m.protocol_digest): m for m in manifests}
    if len(asked) > 1:
        told = sorted(f"{m.run_id} ({', '.join(m.changed) or 'unchanged'})" for m in asked.values())
        raise UserError(
            f"expected runs of one benchmark and protocol, found {', '.join(told)}; "
            "fix: compare runs of one protocol"
        )
    against = {tuple(result.against) for result in results}
    if len(against) > 1:
        found = "; ".join(sorted(" and ".join(one) or "nothing named" for one in against))
        raise UserError(
            f"expected distances from one reference, found {found}; fix: compare runs with the same reference"
        )


def _on_other_prompts(scores: Mapping[str, Sequence[Score]], needed: str | None) -> dict[str, str]:
    """Say of each run that did not answer the prompts of the first one why it cannot be compared with it.

    One without any score is for :func:`endpoint_of` to refuse. Raises UserError if no other run is left, or
    if the one that is ``needed`` is not: a gate on another run than the last one would decide for it.
    """
    (first, own), *others = scores.items()
    apart: dict[str, UserError] = {}
    for name, theirs in others:
        try:
            if own and theirs:
                pair_runs(own, theirs, (first, name))
        except UserError as error:
            apart[name] = error
    if needed in apart:
        raise apart[needed]
    if apart and len(apart) == len(others):
        raise next(iter(apart.values()))
    return {name: str(error) for name, error in apart.items()}


def _compared(
    scores: dict[str, list[Score]], costs: Sequence[Cost], endpoint: Endpoint, margin: float | None
) -> list[Comparison]:
    """Compare every run with the first one, each with its cost."""
    first, *others = scores
    compared = compare_many(
        scores[first],
        {name: scores[name] for name in others},
        baseline_name=first,
        endpoint=endpoint,
        margin=margin,
    )
    values = [compared[0].primary.baseline, *(one.primary.candidate for one in compared)]
    marked = front(values, costs, endpoint.lower_is_better)
    return [
        one.model_copy(update={"baseline_cost": marked[0], "candidate_cost": cost})
        for one, cost in zip(compared, marked[1:], strict=True)
    ]


def _best(scores: dict[str, list[Score]], endpoint: Endpoint, streams: Output, people: bool) -> None:
    choice = best_of(scores, endpoint)
    streams.emit({
        "schema": 1,
        "best": choice.name,
        "metric": endpoint.name,
        "value": choice.reported.value,
        "ci_seeds": choice.reported.ci_seeds,
        "ci_prompts": choice.reported.ci_prompts,
        "n_prompts": choice.reported.n_prompts,
        "chosen_on": dict(choice.chosen_on),
    })  # fmt: skip
    for line in best_lines(choice, endpoint.name, places(endpoint.unit)):
        (streams.result if people else streams.say)(line)
