"""Ours against diffusers' ``Lumina2Pipeline``: ``python -m benchmarks.efficiency.against_diffusers``.

Both sides run in one process, in turns, on the same weights, prompts, noise, solver (Euler), steps and
guidance, with Renorm off, and print seconds an image, their ratio and how far the images are apart. The
weights are the embedded ones; ``loop_against_diffusers`` takes any size, on a GPU too.

Of diffusers three things are timed: as it is, at its own text padding (256 tokens); at the padding of this
checkpoint; and with its transformer compiled, as its documentation advises, which leaves one break in the
graph, where the transformer asks the device for the lengths of the texts.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.efficiency.device import device_name
from benchmarks.efficiency.timing import seconds_of
from lumina_eval.console import plain
from lumina_model import embedded
from lumina_model.adapter import LuminaModel
from lumina_model.compiled import CompiledBlocks
from lumina_model.pipeline import Pipeline
from lumina_model.prompt_templates import SYSTEM_PROMPTS
from lumina_model.sampling import Sampling

#: diffusers' own padding of texts.
THEIR_TOKENS: Final = 256
PROMPTS: Final = (
    "a photo of a red circle",
    "a photo of two blue stars",
    "a photo of a green square left of a yellow triangle",
    "a photo of three pink hearts",
)
Images = NDArray[np.uint8]
Draw = Callable[[Sequence[str]], Images]


@dataclass(frozen=True)
class Side:
    """One way to draw a batch."""

    name: str
    draw: Draw


def ours(pipeline: Pipeline, sampling: Sampling, compiled: bool) -> Side:
    """Draw with this project's pipeline."""
    whole = replace(pipeline, blocks=CompiledBlocks()) if compiled else pipeline
    return Side(
        "ours, compiled" if compiled else "ours",
        lambda prompts: np.asarray(whole.generate(prompts, list(range(len(prompts))), sampling)),
    )


def theirs(pipeline: Any, sampling: Sampling, tokens: int, name: str) -> Side:
    """Draw with diffusers' pipeline, from the same noise."""

    def draw(prompts: Sequence[str]) -> Images:
        with torch.inference_mode():
            found = pipeline(
                prompt=list(prompts),
                height=sampling.height,
                width=sampling.width,
                num_inference_steps=sampling.steps,
                guidance_scale=sampling.guidance,
                cfg_normalization=False,
                max_sequence_length=tokens,
                system_prompt=SYSTEM_PROMPTS[sampling.system_prompt],
                generator=[torch.Generator().manual_seed(i) for i in range(len(prompts))],
                output_type="np",
            ).images
        return np.asarray((found * 255).round(), dtype=np.uint8)

    return Side(name, draw)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, time all sides in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stage", choices=embedded.STAGES, default="hq_tuning")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="of torch, for both sides")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", category=FutureWarning)
    console = plain(width=110)
    options = {"device": "cpu", "renorm": "none", "solver": "euler"}
    model = LuminaModel("embedded", given.stage, embedded.parts(given.stage), options)
    sampling = model.settings
    with tempfile.TemporaryDirectory() as folder:
        sides = _sides(model, Path(folder), given.compile)
        console.print(f"{device_name('cpu')}; {given.stage}, {sampling.steps} Euler steps, float32")
        for batch in given.batches:
            console.print(_compared(sides, batch, given.repeats))


def _sides(model: LuminaModel, folder: Path, compiled: bool) -> list[Side]:
    from diffusers import Lumina2Pipeline

    from lumina_model.checkpoint import assemble_pipeline

    assemble_pipeline(embedded.parts(model.checkpoint), folder / "pipeline")

    def loaded() -> Any:
        pipeline = Lumina2Pipeline.from_pretrained(folder / "pipeline", torch_dtype=torch.float32)
        pipeline.to(torch.float32).set_progress_bar_config(disable=True)
        return pipeline

    sampling = model.settings
    own = sampling.max_text_tokens or THEIR_TOKENS
    as_it_is = loaded()
    sides = [
        theirs(as_it_is, sampling, THEIR_TOKENS, "diffusers, its own padding"),
        theirs(as_it_is, sampling, own, f"diffusers, padded to {own}"),
        ours(model.pipeline, sampling, compiled=False),
    ]
    if compiled:
        fast = loaded()
        fast.transformer.compile()
        sides.insert(2, theirs(fast, sampling, own, f"diffusers, padded to {own}, compiled"))
        sides.append(ours(model.pipeline, sampling, compiled=True))
    return sides


def _compared(sides: Sequence[Side], batch: int, repeats: int) -> Table:
    """Time all sides in turns, so that a busy moment of the machine hits all of them alike."""
    prompts = [PROMPTS[i % len(PROMPTS)] for i in range(batch)]
    first = [side.draw(prompts) for side in sides]  # compiles and warms up
    seconds = np.array(
        [[seconds_of(functools.partial(side.draw, prompts), "cpu") for side in sides] for _ in range(repeats)]
    )  # (repeats, sides)
    median = np.median(seconds, axis=0) / batch
    table = Table(title=f"batch {batch}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "s/image", "of ours", "images differ by at most", "values that differ"):
        table.add_column(column, justify="right" if column else "left")
    reference = next(i for i, side in enumerate(sides) if side.name == "ours")
    for place, side in enumerate(sides):
        apart = np.abs(first[place].astype(int) - first[reference].astype(int))
        table.add_row(
            side.name,
            f"{median[place]:.3f}",
            f"{median[place] / median[reference]:.2f}x",
            f"{apart.max()}/255",
            f"{(apart > 0).mean():.3%}",
        )
    return table


if __name__ == "__main__":
    main()
