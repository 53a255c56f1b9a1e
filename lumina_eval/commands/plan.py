"""``plan``: how many prompts and images it takes to see a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.console import Output, output
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.run_lists import expand, without_times
from lumina_eval.runs import read_manifest, read_result, read_scores
from lumina_eval.statistics.components import CORRELATION, Components, assumed, of_pair, of_run
from lumina_eval.statistics.endpoint import Endpoint, endpoint_of
from lumina_eval.statistics.pareto import cost_of
from lumina_eval.statistics.planning import Plan
from lumina_eval.statistics.planning import plan as make_plan
from lumina_eval.statistics.power import POWER, in_words
from lumina_eval.timed import CLOCK
from lumina_eval.units import digits as places

#: Squared points of a metric; less is the rounding of values that are all the same.
_NO_VARIANCE: Final = 1e-20
_WANTED = "runs with a score for every image"
_INSTEAD = "name the run that its score comes from; a time takes no more prompts, only more repetitions"


def plan(
    detect: Annotated[
        float | None,
        typer.Option("--detect", help="True difference to see, in points of the metric.", show_default=False),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Instead: show that an equal checkpoint is not worse by this.",
            show_default=False,
        ),
    ] = None,
    power: Annotated[float, typer.Option("--power", help="Chance to see it.")] = POWER,
    runs: Annotated[
        list[Path],
        typer.Option(
            "--run", help="Run folder to take variances from; two give the paired one.", show_default=False
        ),
    ] = [],  # noqa: B006
    benchmark: Annotated[
        str | None,
        typer.Option("--benchmark", help="Benchmark whose prompts are at hand.", show_default=False),
    ] = None,
    protocol: o.ProtocolName = o.DEFAULT_PROTOCOL,
    questions: o.Questions = None,
    correlation: Annotated[
        float,
        typer.Option("--correlation", help="Of two checkpoints over prompts, where it must be assumed."),
    ] = CORRELATION,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds-per-image", help="For the hours; measured where runs say it.", show_default=False
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Say how many prompts and images it takes to see a difference, and what those at hand can see."""
    with output(as_json) as streams:
        effect = _checked(detect, margin, power, correlation)
        if seconds is not None and not 0 < seconds < math.inf:
            raise UserError(f"expected --seconds-per-image above 0, found {seconds:g}; fix: that number")
        folders, times = without_times(expand(runs), runs, _WANTED, _INSTEAD) if runs else ([], [])
        for text in times:
            streams.warn(f"passed over: {text}")
        components, endpoint, costs = _from_runs(folders, correlation)
        if endpoint.reach is not None and effect >= endpoint.reach:
            raise UserError(
                f"expected a difference below {endpoint.reach:g}, the range of {endpoint.name}, found "
                f"{effect:g}; fix: name it in points of the metric"
            )
        _check_benchmark(folders, benchmark, protocol, questions, streams)
        at_hand, whose = _at_hand(folders, benchmark, protocol, questions)
        found = make_plan(
            effect,
            components,
            question="difference" if margin is None else "margin",
            prompts_at_hand=at_hand,
            seconds_per_image=seconds if seconds is not None else costs,
            power=power,
        )
        streams.emit(found)
        _show(found, whose, endpoint, streams)


def _checked(detect: float | None, margin: float | None, power: float, correlation: float) -> float:
    if (detect is None) == (margin is None):
        raise UserError("expected either --detect or --margin, found both or none; fix: name one difference")
    effect = detect if detect is not None else margin
    if effect is None or not effect > 0:
        raise UserError(f"expected a difference above 0, found {effect}; fix: name its size, e.g. 0.01")
    if not 0.05 < power < 1:
        raise UserError(f"expected --power above 0.05 and below 1, found {power}; fix: 0.8 is usual")
    if not 0 <= correlation <= 1:
        raise UserError(f"expected --correlation from 0 to 1, found {correlation}; fix: 0.5 is careful")
    return effect


def _from_runs(folders: Sequence[Path], correlation: float) -> tuple[Components, Endpoint, float | None]:
    """Variances, what they are variances of, and the seconds of an image."""
    if not folders:
        return assumed(correlation), Endpoint("score"), None
    if len(folders) > 2:
        raise UserError(f"expected one or two runs, found {len(folders)}; fix: name two with --run")
    if len({(m.benchmark, m.protocol_digest) for m in map(read_manifest, folders)}) > 1:
        raise UserError(
            "expected runs of one benchmark and protocol, found two; fix: name runs of one protocol"
        )
    scores = [read_scores(folder) for folder in folders]
    endpoint = endpoint_of(list(zip(map(read_result, folders), scores, strict=True)))
    if not endpoint.plannable:
        raise UserError(
            f"expected runs whose metric is a mean over prompts, found {endpoint.name} ({endpoint.unit}) in "
            f"{folders[0]}, a number of a whole set of images; fix: plan with runs of another benchmark"
        )
    made = [cost.seconds_per_image for cost in map(cost_of, folders) if cost.seconds_per_image is not None]
    if len(scores) == 1:
        found = of_run(scores[0], endpoint, correlation)
    else:
        found = of_pair(scores[0], scores[1], endpoint)
    if found.of_prompt(1) < _NO_VARIANCE:
        whose, what = ("two runs", "difference") if len(scores) == 2 else ("a run", "score")
        raise UserError(
            f"expected {whose} whose prompts vary, found one {what} for all prompts of a task, in "
            f"{' and '.join(map(str, folders))}: from these nothing can be planned; fix: --run of "
            "checkpoints that get some prompts right and some wrong, or no --run, for assumed variances"
        )
    return found, endpoint, max(made, default=None)


def _check_benchmark(
    folders: Sequence[Path], benchmark: str | None, protocol: str, questions: Path | None, streams: Output
) -> None:
    """Refuse runs of another benchmark than the one whose prompts are at hand; say it of another protocol."""
    if not folders or benchmark is None:
        return
    made = read_manifest(folders[0])
    if made.benchmark != benchmark:
        raise UserError(
            f"expected --benchmark {made.benchmark}, that of the runs, found {benchmark}: what varies in one "
            f"says nothing of the other's prompts, in {folders[0]}; fix: leave --benchmark out, or name runs "
            f"on {benchmark}"
        )
    asked = find_protocol(plugins.benchmark(benchmark, questions), protocol).name
    if made.protocol != asked:
        streams.warn(f"the runs are on {benchmark} {made.protocol}; {asked} is taken to vary as that does")


def _at_hand(
    folders: Sequence[Path], benchmark: str | None, protocol: str, questions: Path | None
) -> tuple[int | None, str]:
    """Number of prompts at hand, and whose they are."""
    if benchmark is not None:
        found = plugins.benchmark(benchmark, questions)
        asked = find_protocol(found, protocol)
        if asked.value("judge.name") == CLOCK:
            raise UserError(
                f"expected a benchmark that judges images, found {benchmark}, which times how they are made; "
                "fix: name the benchmark of the score, e.g. --benchmark geneval"
            )
        return len(found.items(asked)), f"{benchmark} {protocol}"
    if folders:
        return len({(score.task, score.item_id) for score in read_scores(folders[0])}), "the runs"
    return None, ""


def _show(found: Plan, whose: str, endpoint: Endpoint, streams: Output) -> None:
    digits = places(endpoint.unit) + 1
    chance = f"{100 * found.power:g} of 100"
    if found.question == "difference":
        streams.result(
            f"To see a true difference of {found.effect:g} in {chance} comparisons (two-sided, 5 %):"
        )
    else:
        streams.result(
            f"To show in {chance} comparisons that a checkpoint that is equally good is not worse by "
            f"{found.effect:g} (the 95 % interval ends above -{found.effect:g}):"
        )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    at_hand = found.prompts_at_hand
    heads = ["images per prompt", "prompts needed", "images", "hours"]
    for head in [*heads, *([f"{at_hand} prompts see"] if at_hand is not None else [])]:
        table.add_column(head, justify="right")
    for row in found.rows:
        hours = "-" if row.hours is None else f"{row.hours:.1f}"
        cells = [f"{row.images_per_prompt}", f"{row.prompts:,}", f"{row.images:,}", hours]
        if row.smallest_difference is not None:
            cells.append(in_words(row.smallest_difference, endpoint.unit, digits))
        table.add_row(*cells)
    streams.tables.print(table)
    streams.result("Images and hours are those of one checkpoint.")
    usual = next((row for row in found.rows if row.images_per_prompt == 4), found.rows[-1])
    if usual.smallest_difference is not None and found.smallest_possible is not None:
        least, possible = (
            in_words(one, endpoint.unit, digits)
            for one in (usual.smallest_difference, found.smallest_possible)
        )
        streams.result(
            f"With the {at_hand} prompts of {whose} and {usual.images_per_prompt} images each, the smallest "
            f"difference you can see is {least}; with any number of images it is {possible}."
        )
    streams.result(f"Variances: from {found.source}.")
    if not found.runs:
        streams.result(
            "Differences are shares of the metric's range. Give --run of your own for better numbers."
        )
