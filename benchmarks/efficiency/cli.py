"""``lumina-eval efficiency``: what an image costs, with what it is worth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lumina_eval.console import Output, output
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.models import open_models
from lumina_eval.runs import DEFAULT_OUT

if TYPE_CHECKING:
    from benchmarks.efficiency.measurement import Measurement
    from lumina_eval.evaluation import Question

HELP = "What an image costs on this device: seconds, work, memory, energy; its score beside it."
app = typer.Typer(no_args_is_help=True, help=HELP)

Models = Annotated[list[str], typer.Option("--model", help="As for run; may be given several times.")]
OptionsOfModel = Annotated[list[str], typer.Option("--option", help="KEY=VALUE for the model: compile=true.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Prompts = Annotated[int, typer.Option("--prompts", min=1, help="Prompts of GenEval's tabletop protocol.")]
Repeats = Annotated[int, typer.Option("--repeats", min=1, help="Repetitions of every batch size.")]
Most = Annotated[int, typer.Option("--most", min=1, help="Largest batch to try.")]
Seconds = Annotated[float, typer.Option("--peak-seconds", min=0.1, help="Time for the device's peak.")]
Score = Annotated[bool, typer.Option("--score/--no-score", help="Score it on GenEval (tabletop) too.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Prompts of each task for the score.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for images, runs and measurements.jsonl.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout; all else on stderr.")]

NONE: list[str] = []
EMBEDDED = ["embedded"]


@dataclass(frozen=True)
class How:
    """What the commands have in common."""

    prompts: int
    repeats: int
    most: int
    peak_seconds: float
    score: bool
    limit: int | None
    out: Path


@app.callback()
def efficiency() -> None:
    """What an image costs on this device: seconds, work, memory, energy; its score beside it."""


@app.command()
def measure(
    model: Models = EMBEDDED,
    option: OptionsOfModel = NONE,
    device: Device = "auto",
    prompts: Prompts = 8,
    repeats: Repeats = 5,
    most: Most = 32,
    peak_seconds: Seconds = 2.0,
    score: Score = True,
    limit: Limit = None,
    out: Out = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Measure models as they are, each against the first."""
    with output(as_json) as streams:
        how = How(prompts, repeats, most, peak_seconds, score, limit, make_folder(out))
        opened = [one for text in model for one in open_models(text, _options(option, device))]
        found = [_measured(one, how, streams) for one in opened]
        _show(found, [one.title for one in found], "Efficiency", out, streams)


@app.command()
def chain(
    model: Annotated[str, typer.Option("--model", help="One of our checkpoints.")] = "embedded:hq_tuning",
    option: OptionsOfModel = NONE,
    device: Device = "auto",
    prompts: Prompts = 8,
    repeats: Repeats = 5,
    most: Most = 32,
    peak_seconds: Seconds = 2.0,
    score: Score = True,
    limit: Limit = None,
    out: Out = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Measure the savings of the paper's Figure 11 one after the other: guidance, solver, step cache."""
    from benchmarks.efficiency.chain import settings

    with output(as_json) as streams:
        how = How(prompts, repeats, most, peak_seconds, score, limit, make_folder(out))
        found, names = [], []
        for name, changes in settings():
            opened = open_models(model, {**_options(option, device), **changes})
            if len(opened) != 1:
                raise UserError(
                    f"expected one checkpoint, found {len(opened)} in {model!r}; fix: name a stage, "
                    "e.g. --model embedded:hq_tuning"
                )
            streams.say(name)
            names.append(name)
            found.append(_measured(opened[0], how, streams))
        _show(found, names, f"The chain of savings, {found[0].title}", out, streams)


def _options(pairs: Sequence[str], device: str) -> dict[str, str]:
    found = {"device": device}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UserError(f"expected --option KEY=VALUE, found {pair!r}")
        found[key] = value
    return found


def _measured(model: Any, how: How, streams: Output) -> Measurement:
    from benchmarks.efficiency.measurement import measure as measured
    from benchmarks.efficiency.scoring import question, scored

    asked = question(how.limit)
    streams.say(f"timing {getattr(model, 'title', model.name)}")
    found = measured(
        model,
        _spread(asked, how.prompts),
        repeats=how.repeats,
        most=how.most,
        peak_seconds=how.peak_seconds,
        tell=streams.warn,
    )
    return scored(found, model, asked, how.out, streams.people) if how.score else found


def _spread(asked: Question, number: int) -> list[str]:
    """Take prompts evenly from the whole list, so that all tasks are among them."""
    items = asked.selection.items
    number = min(number, len(items))
    return [items[i * len(items) // number].prompt for i in range(number)]


def _show(found: list[Measurement], names: list[str], title: str, out: Path, streams: Output) -> None:
    from benchmarks.efficiency.tables import notes, table
    from lumina_eval.files import append_lines

    for one in found:
        streams.emit(one)
    streams.tables.print(table(found, names, title))
    for note in notes(found):
        streams.result(note)
    path = out / "measurements.jsonl"
    append_lines(path, [one.model_dump_json() for one in found])
    streams.result(f"measurements in {path}")
