"""``lumina-eval assets``: what has to be done to fetched files before a judge can use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from lumina_eval.assets import locate
from lumina_eval.errors import UserError

app = typer.Typer(
    no_args_is_help=True, help="Fetched files made ready for the judges, and tried: convert, speed."
)


@app.command()
def convert(
    kind: Annotated[Literal["mask2former"], typer.Argument(help="What is converted.")],
    source: Annotated[
        Path | None,
        typer.Argument(help="mmdet's file; default: the one that was fetched.", show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to write; default: where GenEval looks.", show_default=False),
    ] = None,
) -> None:
    """Convert mmdet's Mask2Former (Swin-S, COCO instances) to a folder that transformers loads."""
    from benchmarks.judges.detectors.mmdet.conversion import OFFICIAL_SHA256, convert, converted_folder

    if source is not None and folder is None:
        raise UserError(
            "expected the folder to write after the file, found none; "
            f"fix: lumina-eval assets convert mask2former {source} DIR"
        )
    target = folder or converted_folder()
    done = convert(source or locate("mask2former"), target)
    print(f"{done.parameters} parameters of {done.source} are in {target}")
    if not done.official:
        print(f"This is not the file that GenEval names: sha256 {done.source_sha256}, not {OFFICIAL_SHA256}")


@app.command()
def speed(
    weights: Annotated[str, typer.Argument(help="Folder of Mask2Former, or OWNER/NAME@REVISION.")],
    folder: Annotated[Path, typer.Argument(help="Folder of PNG images, searched through.")],
    batch_size: Annotated[int, typer.Option(min=2)] = 8,
    count: Annotated[int, typer.Option(min=1, help="Images at most.")] = 32,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure what batches bring Mask2Former, and what they change; one JSON object."""
    from benchmarks.judges.detectors.speed import compare

    print(json.dumps(compare(weights, folder, batch_size, count, rounds, device)))
