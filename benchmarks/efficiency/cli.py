"""``lumina-eval efficiency``: what an image costs, with what it is worth beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.efficiency.command_line import key_values
from lumina_eval.console import Output, output, redacted
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.models import open_models
from lumina_eval.runs import DEFAULT_OUT

if TYPE_CHECKING:
    from benchmarks.efficiency.measurement import Measurement
    from lumina_eval.protocol import ResolvedProtocol

HELP = "What an image costs on this device: seconds, work, memory, energy; its score beside it."
app = typer.Typer(no_args_is_help=True, help=HELP)

Models = Annotated[list[str], typer.Option("--model", help="As for run; may be given several times.")]
OptionsOfModel = Annotated[list[str], typer.Option("--option", help="KEY=VALUE for the model: compile=true.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Prompts = Annotated[
    int | None,
    typer.Option("--prompts", min=1, help="Prompts to time; 8 if not given.", show_default=False),
]
Repeats = Annotated[
    int | None,
    typer.Option("--repeats", min=1, help="Of every batch size; 5 if not given.", show_default=False),
]
Most = Annotated[
    int | None,
    typer.Option("--most", min=1, help="Largest batch to try; 32 if not given.", show_default=False),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--peak-seconds", min=0.1, help="For the device's peak; 2 if not given.", show_default=False
    ),
]
Score = Annotated[bool, typer.Option("--score/--no-score", help="Score it on GenEval (tabletop) too.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Prompts of each task for the score.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for images, runs and measurements.jsonl.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write the report when all is measured.")]
Mlflow = Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Log to MLflow.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", help="MLflow store; MLFLOW_TRACKING_URI, else OUT/mlflow.db.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout; all else on stderr.")]

NONE: list[str] = []
EMBEDDED = ["embedded"]


@dataclass(frozen=True)
class How:
    """What the commands have in common; UserError for options that would do nothing."""

    protocol: ResolvedProtocol
    score: bool
    limit: int | None
    out: Path
    report: bool
    mlflow: bool
    uri: str | None

    def __post_init__(self) -> None:
        if self.limit is not None and not self.score:
            raise UserError(
                f"expected --limit {self.limit} with a score, whose prompts it limits, found --no-score; "
                "fix: leave one out (--prompts N limits those that are timed)"
            )
        if self.uri is not None and not self.mlflow:
            raise UserError("expected --tracking-uri with MLflow, found --no-mlflow; fix: leave one out")


@dataclass(frozen=True)
class Measured:
    """A measurement by name, its run, and the run that its score comes from."""

    name: str
    measurement: Measurement
    run_dir: Path
    scored: Path | None


@app.callback()
def efficiency() -> None:
    """What an image costs on this device: seconds, work, memory, energy; its score beside it."""


@app.command()
def measure(
    model: Models = EMBEDDED,
    option: OptionsOfModel = NONE,
    device: Device = "auto",
    prompts: Prompts = None,
    repeats: Repeats = None,
    most: Most = None,
    peak_seconds: Seconds = None,
    score: Score = True,
    limit: Limit = None,
    out: Out = DEFAULT_OUT,
    report: Report = True,
    mlflow: Mlflow = True,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Measure models as they are, each against the first."""
    with output(as_json) as streams:
        protocol = _protocol(prompts=prompts, repeats=repeats, most=most, peak_seconds=peak_seconds)
        how = How(protocol, score, limit, make_folder(out), report, mlflow, tracking_uri)
        opened = [one for text in model for one in open_models(text, _options(option, device))]
        _check(opened)
        found = [_measured(one, "", how, streams) for one in opened]
        _finish(found, "Efficiency", how, streams)


@app.command()
def chain(
    model: Annotated[str, typer.Option("--model", help="One of our checkpoints.")] = "embedded:hq_tuning",
    option: OptionsOfModel = NONE,
    device: Device = "auto",
    prompts: Prompts = None,
    repeats: Repeats = None,
    most: Most = None,
    peak_seconds: Seconds = None,
    score: Score = True,
    limit: Limit = None,
    out: Out = DEFAULT_OUT,
    report: Report = True,
    mlflow: Mlflow = True,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Measure the savings of the paper's Figure 11 one after the other: guidance, solver, step cache."""
    from benchmarks.efficiency.chain import check_given, settings

    with output(as_json) as streams:
        protocol = _protocol(prompts=prompts, repeats=repeats, most=most, peak_seconds=peak_seconds)
        how = How(protocol, score, limit, make_folder(out), report, mlflow, tracking_uri)
        given = _options(option, device)
        check_given(given)
        names, changes = zip(*settings(), strict=True)
        opened = [_link(model, {**given, **change}) for change in changes]
        _check(opened)
        found = []
        for name in names:
            streams.say(name)
            found.append(_measured(opened.pop(0), name, how, streams))
        _finish(found, f"The chain of savings, {found[0].measurement.title}", how, streams)


def _options(pairs: Sequence[str], device: str) -> dict[str, str]:
    return {"device": device, **key_values(pairs, "--option")}


def _link(name: str, options: Mapping[str, str]) -> Any:
    opened = open_models(name, options)
    if len(opened) != 1:
        raise UserError(
            f"expected one checkpoint, found {len(opened)} in {name!r}; fix: name a stage, "
            "e.g. --model embedded:hq_tuning"
        )
    return opened[0]


def _check(models: Sequence[Any]) -> None:
    """Work out the sampling of all models, so that a mistake is told before the first is timed."""
    for model in models:
        model.sampling()


def _protocol(**given: float | None) -> ResolvedProtocol:
    """Return the protocol with what the command line changes in it."""
    from benchmarks.efficiency.adapter import Efficiency
    from lumina_eval.evaluation import find_protocol

    benchmark = Efficiency()
    usual: Mapping[str, Any] = find_protocol(benchmark, benchmark.default_protocol).values
    changes = [f"{key}={value}" for key, value in given.items() if value not in (None, usual[key])]
    return find_protocol(benchmark, benchmark.default_protocol, changes)


def _measured(model: Any, link: str, how: How, streams: Output) -> Measured:
    """Time a model, score it and write that down; ``link`` names its settings where one model has several."""
    from benchmarks.efficiency.adapter import Efficiency, numbers_of
    from benchmarks.efficiency.measurement import measure as measured
    from benchmarks.efficiency.recording import Origin, record
    from benchmarks.efficiency.scoring import question, scored
    from lumina_eval.evaluation import title_of
    from lumina_eval.files import append_lines
    from lumina_eval.runs import now

    repeats, most, peak_seconds = numbers_of(how.protocol)
    items, started = Efficiency().items(how.protocol), now()
    streams.say(f"timing {title_of(model)}")
    found = measured(
        model,
        [item.prompt for item in items],
        repeats=repeats,
        most=most,
        peak_seconds=peak_seconds,
        tell=streams.warn,
        progress=streams.say,
    )
    worth: Path | None = None
    if how.score:
        found, worth = scored(found, model, question(how.limit), how.out, streams.people)
    argv = redacted(["lumina-eval", *sys.argv[1:]])
    origin = Origin(how.protocol, items, started, argv, ["lumina-eval"])
    title = f"{found.title}, {link}" if link else found.title
    run_dir = record(found, model, origin, how.out, worth, title)
    append_lines(_lines(how.out), [found.model_dump_json()])
    return Measured(link or found.title, found, run_dir, worth)


def _lines(out: Path) -> Path:
    return out / "measurements.jsonl"


def _finish(found: Sequence[Measured], title: str, how: How, streams: Output) -> None:
    """Publish the runs, show the table, and say where everything is."""
    from benchmarks.efficiency.tables import notes, table
    from lumina_eval.publishing import publish
    from lumina_eval.runs import read_result

    measurements = [one.measurement for one in found]
    runs = dict.fromkeys([*(one.run_dir for one in found), *(one.scored for one in found if one.scored)])
    published = publish(list(runs), how.out, how.out / "images", how.report, how.mlflow, how.uri)
    for one in found:
        result = read_result(one.run_dir).model_dump(mode="json")
        streams.emit({**result, "measurement": one.measurement.model_dump(mode="json")})
    streams.tables.print(table(measurements, [one.name for one in found], title))
    for note in notes(measurements):
        streams.result(note)
    for text in published.warnings:
        streams.warn(text)
    for line in published.places([one.run_dir for one in found]):
        streams.result(line)
    streams.result(f"measurements in {_lines(how.out)}")
