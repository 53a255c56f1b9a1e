"""How cost grows with pixels, text, batch and steps: ``python -m benchmarks.efficiency.growth``.

One axis is varied at a time, the others stay at the checkpoint's own. A straight line is fitted through
seconds over steps, over images of a batch, and over the useful operations of larger images and longer texts.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.efficiency.command_line import key_values, without_traceback
from benchmarks.efficiency.device import device_name
from benchmarks.efficiency.flops import image_flops
from benchmarks.efficiency.timing import timed
from lumina_eval.console import plain
from lumina_eval.errors import UserError
from lumina_model.adapter import LuminaModel
from lumina_model.sampling import Sampling

PROMPT: Final = "a photo of a red circle"
#: Of axis: what the line is drawn over, by name.
AXES: Final = {"side": "GFLOP", "text": "GFLOP", "batch": "images", "steps": "steps"}


@dataclass(frozen=True)
class Point:
    """One setting: the value of its axis, what the line runs over, seconds of the whole batch."""

    axis: str
    value: int
    over: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """seconds = start + slope · over, with the share of the variance that it explains."""

    start: float
    slope: float
    r2: float


def fit(points: Sequence[Point]) -> Line:
    """Least squares through at least two points."""
    x, y = np.array([p.over for p in points]), np.array([p.seconds for p in points])
    slope, start = np.polyfit(x, y, 1)
    rest = float(((y - start - slope * x) ** 2).sum())
    return Line(float(start), float(slope), 1 - rest / float(((y - y.mean()) ** 2).sum()))


def points(model: LuminaModel, axis: str, values: Sequence[int], repeats: int) -> list[Point]:
    """Measure one axis; ``text`` repeats words until the prompt has about that many tokens."""
    return [_point(model, axis, value, repeats) for value in values]


def _point(model: LuminaModel, axis: str, value: int, repeats: int) -> Point:
    pipeline, sampling = model.pipeline, model.settings
    prompts, config = [PROMPT], pipeline.transformer.config
    assert pipeline.text_encoder is not None
    if axis == "side":
        sampling = replace(sampling, height=value, width=value)
    elif axis == "steps":
        sampling = replace(sampling, steps=value)
    elif axis == "batch":
        prompts *= value
    else:
        sampling = replace(sampling, max_text_tokens=value)
        prompts = [_prompt(model, value, sampling)]
    tokens = _tokens(model, prompts[0], sampling)
    _, height, width = pipeline.latent_shape(sampling.size)
    work = image_flops(config, sampling, [tokens], 1, height * width // config.patch_size**2)
    over = {"GFLOP": work / 1e9, "images": len(prompts), "steps": sampling.steps}[AXES[axis]]
    draw = functools.partial(pipeline.generate, prompts, list(range(len(prompts))), sampling)
    return Point(axis, value, over, timed(draw, model.device, repeats).median)


def _prompt(model: LuminaModel, tokens: int, sampling: Sampling) -> str:
    """Return words that fill this many tokens, or a word less."""
    words = PROMPT.split()
    while _tokens(model, " ".join(words), sampling) <= tokens:
        words.append(words[len(words) % 6])
    return " ".join(words[:-1])


def _tokens(model: LuminaModel, prompt: str, sampling: Sampling) -> int:
    encoder = model.pipeline.text_encoder
    assert encoder is not None
    return len(encoder.tokenizer(sampling.final_text(prompt)).input_ids)


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure the axes, print tables with their lines, draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="embedded:hq_tuning", help="one of our checkpoints")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--option", action="append", default=[], help="KEY=VALUE, e.g. steps=4")
    parser.add_argument("--side", type=int, nargs="*", default=[64, 128, 256, 384, 512])
    parser.add_argument("--text", type=int, nargs="*", default=[16, 32, 64, 128, 256])
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--steps", type=int, nargs="*", default=[5, 10, 20, 40])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="SVG or PNG to write")
    given = parser.parse_args(arguments)
    from lumina_eval.models import open_models

    asked = [value for axis in AXES for value in getattr(given, axis)]
    if given.repeats < 1 or min(asked, default=1) < 1:
        raise UserError("expected repeats and values of 1 or more, found less; fix: e.g. --steps 5 10 20")
    model = open_models(given.model, {"device": given.device, **key_values(given.option, "--option")})[0]
    if not isinstance(model, LuminaModel):
        raise UserError(f"expected one of our checkpoints, found {given.model}; fix: --model lumina:DIR")
    console = plain(width=110)
    beside = f"; {', '.join(given.option)}" if given.option else ""
    console.print(f"{device_name(model.device)}; {model.title}{beside}")
    measured = {
        axis: points(model, axis, values, given.repeats) for axis in AXES if (values := getattr(given, axis))
    }
    for axis, found in measured.items():
        console.print(_title(axis, found), soft_wrap=True)
        console.print(_table(axis, found))
    if given.plot:
        _draw(measured, given.plot)
        console.print(f"plot {given.plot}", soft_wrap=True)


def _title(axis: str, found: Sequence[Point]) -> str:
    if len(found) < 2:
        return axis
    line = fit(found)
    return f"{axis}: seconds = {line.start:.3f} + {line.slope:.4f} x {AXES[axis]} (R² {line.r2:.3f})"


def _table(axis: str, found: Sequence[Point]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in dict.fromkeys((axis, AXES[axis], "seconds")):
        table.add_column(column, justify="right")
    for point in found:
        cells = {axis: str(point.value), AXES[axis]: f"{point.over:.4g}", "seconds": f"{point.seconds:.3f}"}
        table.add_row(*cells.values())
    return table


def _draw(measured: dict[str, list[Point]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 2.8), layout="constrained")
    axes = figure.subplots(1, len(measured), squeeze=False)[0]
    for ax, (axis, found) in zip(axes, measured.items(), strict=True):
        x = np.array([point.over for point in found])
        ax.plot(x, [point.seconds for point in found], "o", color="#1f5fa8", markersize=4)
        if len(found) > 1:
            line = fit(found)
            ax.plot(x, line.start + line.slope * x, color="#1f5fa8", linewidth=1)
        ax.set_xlabel(f"{AXES[axis]}" + (f" ({axis})" if AXES[axis] == "GFLOP" else ""))
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("seconds")
    figure.savefig(path)


if __name__ == "__main__":
    main()
