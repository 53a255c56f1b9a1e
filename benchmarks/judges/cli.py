"""``lumina-eval assets``: what has to be done to fetched files before a judge can use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.judges.conversion import Conversion
from lumina_eval.assets.catalogue import locate
from lumina_eval.errors import UserError

app = typer.Typer(
    no_args_is_help=True, help="Fetched weights (see data) made ready for the judges: convert, speed."
)


@app.command()
def convert(
    kind: Annotated[Literal["mask2former", "blip-vqa"], typer.Argument(help="What is converted.")],
    source: Annotated[
        Path | None,
        typer.Argument(help="The published file; default: the one that was fetched.", show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to write; default: one beside the fetched files.", show_default=False),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="vocab.txt of bert-base-uncased (blip-vqa); default: the one that was fetched.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Convert a published checkpoint to a folder that transformers loads.

    mask2former is mmdet's (Swin-S, COCO instances) for GenEval, blip-vqa that of T2I-CompBench.
    """
    if source is not None and folder is None:
        raise UserError(
            "expected the folder to write after the file, found none; "
            f"fix: lumina-eval assets convert {kind} {source} DIR"
        )
    if kind == "mask2former":
        _mask2former(source, folder, vocabulary)
    else:
        _blip(source, folder, vocabulary)


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


def _mask2former(source: Path | None, folder: Path | None, vocabulary: Path | None) -> None:
    from benchmarks.judges.detectors.mmdet.conversion import OFFICIAL_SHA256, convert, converted_folder

    if vocabulary is not None:
        raise UserError(
            f"expected no --vocabulary for mask2former, which reads no text, found {vocabulary}; "
            "fix: leave it out"
        )
    target = folder or converted_folder()
    _tell(convert(source or locate("mask2former"), target), target, "GenEval", OFFICIAL_SHA256)


def _blip(source: Path | None, folder: Path | None, vocabulary: Path | None) -> None:
    from benchmarks.judges.vqa.blip_conversion import (
        OFFICIAL_SHA256,
        OFFICIAL_VOCABULARY,
        VOCABULARY_ASSET,
        convert,
        converted_folder,
    )

    file = source or locate("blip-vqa")
    words = vocabulary or locate(VOCABULARY_ASSET) / "vocab.txt"
    target = folder or converted_folder()
    done = convert(file, target, words)
    _tell(done, target, "T2I-CompBench", OFFICIAL_SHA256)
    if done.vocabulary_sha256 != OFFICIAL_VOCABULARY:
        print(
            f"These are not the words of bert-base-uncased, byte for byte: sha256 {done.vocabulary_sha256}, "
            f"not {OFFICIAL_VOCABULARY}"
        )
    print(f"To judge with it: --set judge.vqa={target}")


def _tell(done: Conversion, target: Path, benchmark: str, official: str) -> None:
    print(f"{done.parameters} parameters of {done.source} are in {target}")
    if done.source_sha256 != official:
        print(f"This is not the file that {benchmark} names: sha256 {done.source_sha256}, not {official}")
