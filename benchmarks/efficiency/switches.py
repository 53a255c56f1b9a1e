"""The price of each inexact switch: ``python -m benchmarks.efficiency.switches > switches.md``.

The same prompts and noise under the exact sampler and under each switch, scored by a benchmark, compared
prompt by prompt; beside it how many times faster the switch is, timed in turns with the exact sampler. Images
and verdicts lie in ``--out`` and are not made twice: the same command goes on where it ended.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.efficiency.command_line import key_values, without_traceback
from benchmarks.efficiency.price_tables import Priced, notes, table
from benchmarks.efficiency.prices import Run, prices
from lumina_eval.console import plain
from lumina_eval.errors import UserError, is_user_error
from lumina_eval.evaluation import Question, Site, ask, evaluate
from lumina_eval.files import make_folder
from lumina_eval.plugins import Model
from lumina_eval.runs import read_result, read_scores
from lumina_eval.store import ImageStore

#: What makes a checkpoint's own sampling exact.
EXACT: Final = {
    "truncation": "none", "truncation_ratio": "none", "guidance_every": "1", "cache": "none",
    "dtype": "float32",
}  # fmt: skip
#: Batch of the timings, and of the images.
BATCH: Final = 16
#: Prompts that the timings take in turn.
TIMED_PROMPTS: Final = 8


@dataclass(frozen=True)
class Switch:
    """Options that change the exact sampler."""

    name: str
    options: Mapping[str, str]


def usual_switches(sampling: Any) -> list[Switch]:
    """Return those of docs/efficiency.md; the solver gets half of the evaluations that it replaces."""
    steps = max(1, sampling.evaluations() // 2)
    return [
        Switch("CFG-Trunc, t < 0.25", {"truncation": "0.25"}),
        Switch("guidance cache, every 2nd", {"guidance_every": "2"}),
        Switch(f"Flow-DPM-Solver, {steps} steps", {"solver": "dpm", "steps": str(steps)}),
        Switch("step cache 0.3", {"cache": "0.3"}),
        Switch("bfloat16", {"dtype": "bfloat16"}),
        Switch("float8", {"dtype": "float8"}),
    ]


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, score and time the exact sampler and each switch, print the tables."""
    from benchmarks.efficiency.device import device_name

    given = _parser().parse_args(arguments)
    _check(given.margin, given.repeats)
    console = plain(stderr=True)
    base = {"device": given.device, **EXACT, **key_values(given.option, "--option")}
    exact = _one(given.model, base)
    chosen, told = _switches(given, base, exact)
    for line in told:
        console.print(line, soft_wrap=True)
    asked = [
        ask(name, "tabletop" if given.protocol is None else given.protocol, suite=given.suite,
            limit=given.limit, images_per_prompt=given.images_per_prompt)
        for name in given.benchmarks
    ]  # fmt: skip
    site = Site(make_folder(given.out), ImageStore(given.out / "images"), BATCH, console)
    found = run(exact, chosen, given.model, base, asked, site, given.repeats, given.margin)
    device = device_name(exact.device)
    lines = [
        line for priced in found for line in table(priced, getattr(exact, "title", exact.name), device, BATCH)
    ]
    print("\n".join([*lines, *notes(found, command(given))]))


def run(
    exact: Model,
    chosen: Sequence[Switch],
    name: str,
    base: Mapping[str, str],
    asked: Sequence[Question],
    site: Site,
    repeats: int,
    share: float,
) -> list[Priced]:
    """Score and time all switches on each benchmark; one is let go of before the next is loaded."""
    judges = [question.benchmark.judge(question.protocol) for question in asked]
    pairs = list(zip(asked, judges, strict=True))
    exact_runs = [_scored(evaluate(question, exact, judge, site)) for question, judge in pairs]
    switched: dict[str, list[Run]] = {}
    faster: dict[str, float | None] = {}
    prompts = [item.prompt for item in asked[0].selection.items[:TIMED_PROMPTS]]
    for switch in chosen:
        model = _one(name, {**base, **switch.options})
        site.console.print(switch.name)
        switched[switch.name] = [_scored(evaluate(question, model, judge, site)) for question, judge in pairs]
        faster[switch.name] = _faster(exact, model, prompts, repeats)
    return [
        Priced(
            question,
            prices(exact_runs[place], {one: runs[place] for one, runs in switched.items()}, share),
            faster,
        )
        for place, question in enumerate(asked)
    ]


def _switches(given: Any, base: Mapping[str, str], exact: Any) -> tuple[list[Switch], list[str]]:
    """Return the switches to try, and why others are left out; a user's own that does nothing is an error."""
    own = [Switch(text, key_values(text.split(","), "--switch")) for text in given.switch]
    chosen, told = [], []
    for switch in own or usual_switches(exact.settings):
        try:
            if _one(given.model, {**base, **switch.options}).sampling() == exact.sampling():
                raise UserError(
                    f"expected a switch that changes the sampling, found {switch.name}, which the exact "
                    "sampler has already; fix: leave it out"
                )
        except Exception as error:
            if own or not is_user_error(error):
                raise
            told.append(f"left out {switch.name}: {error}")
        else:
            chosen.append(switch)
    if not chosen:
        raise UserError(f"expected a switch to try, found none; {'; '.join(told)}")
    return chosen, told


def _check(margin: float, repeats: int) -> None:
    """Refuse before the first image what would fail after the last."""
    if not 0 < margin < 1:
        raise UserError(
            f"expected --margin above 0 and below 1, a share of the metric's range, found {margin:g}; fix: "
            "--margin 0.01 is one point of a hundred"
        )
    if repeats < 0:
        raise UserError(f"expected --repeats of 0 or more, found {repeats}; fix: --repeats 0 times nothing")


def _scored(run_dir: Path) -> Run:
    return read_result(run_dir), read_scores(run_dir)


def _one(name: str, options: Mapping[str, str]) -> Any:
    from lumina_eval.models import open_models
    from lumina_model.adapter import LuminaModel

    opened = open_models(name, options)
    if len(opened) != 1 or not isinstance(opened[0], LuminaModel):
        raise UserError(
            f"expected one checkpoint of ours, found {len(opened)} in {name!r}; fix: name a stage, e.g. "
            "--model embedded:hq_tuning, or --model lumina:DIR"
        )
    return opened[0]


def _faster(exact: Model, model: Model, prompts: Sequence[str], repeats: int) -> float | None:
    from benchmarks.efficiency.turns import times_faster

    return times_faster(exact, model, prompts, BATCH, repeats) if repeats else None


def command(given: argparse.Namespace) -> str:
    """Return the command line that was given, without what is by default and for another checkpoint."""
    parser = _parser()
    words = ["--model", "lumina:DIR_OR_ID", "--device", "cuda"]
    for name, value in vars(given).items():
        option = f"--{name.replace('_', '-')}"
        if name in ("model", "device", "out") or value == parser.get_default(name):
            continue
        if name in ("option", "switch"):
            words += [word for one in value for word in (option, one)]
        else:
            words += [option, *map(str, value if isinstance(value, list) else [value])]
    return f"python -m benchmarks.efficiency.switches {shlex.join(words)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{Path(sys.executable).name} -m benchmarks.efficiency.switches",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    parser.add_argument("--model", default="embedded:hq_tuning", help="one of our checkpoints")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--option", action="append", default=[], help="KEY=VALUE for exact and switches")
    parser.add_argument("--switch", action="append", default=[],
                        help="KEY=VALUE,KEY=VALUE in place of the usual switches; repeatable")  # fmt: skip
    parser.add_argument("--benchmarks", nargs="+", default=["geneval"], help="e.g. geneval fidelity")
    parser.add_argument("--protocol", help="tabletop if not given")
    parser.add_argument("--suite", default="standard")
    parser.add_argument("--limit", type=int, help="prompts of each task")
    parser.add_argument("--images-per-prompt", type=int)
    parser.add_argument("--margin", type=float, default=0.01, help="a share of the metric's range")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds; 0 times nothing")
    parser.add_argument("--out", type=Path, default=Path("lumina-runs/switches"), help="images and runs")
    return parser


if __name__ == "__main__":
    main()
