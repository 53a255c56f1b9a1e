"""``lumina-model``: train the parts, export, inspect and sample. A mistake is one line and exit code 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lumina_model.console import plain
from lumina_model.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Lumina-Image 2.0, small enough to train and read in an evening.",
)
train = typer.Typer(no_args_is_help=True, help="Train one part; every command resumes where it ended.")
app.add_typer(train, name="train")

Data = Annotated[Path, typer.Option("--data", help="Training set: a folder with train.jsonl.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the training run.")]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe", help="A .toml file, or the name of one of the embedded model's.", show_default=False
    ),
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 for all cores.")]
OUT = Path("lumina-training")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
StageOption = Annotated[str, typer.Option("--stage", help="Which stage of `embedded` or a training run.")]
WeightsOption = Annotated[str, typer.Option("--weights", help="ema or raw, where a checkpoint has both.")]

LoraOption = Annotated[
    list[str] | None, typer.Option(metavar="FILE[=SCALE]", help="LoRA to add to the weights; repeatable.")
]


@train.command("tokenizer")
def train_tokenizer(data: Data, out: Out = OUT, vocab_size: int = 2048) -> None:
    """Learn the byte-level BPE from the captions of all languages."""
    from lumina_model.training.tokenizer import train_tokenizer

    train_tokenizer(data, out, vocab_size=vocab_size)


@train.command("text-encoder")
def train_text_encoder(data: Data, out: Out = OUT, recipe: Recipe = None, threads: Threads = 0) -> None:
    """Train the Gemma-2 text encoder by causal language modelling."""
    from lumina_model.training.text_encoder import TextEncoderSettings, train_text_encoder

    train_text_encoder(data, out, _settings(TextEncoderSettings, recipe, "text_encoder", threads))


@train.command("autoencoder")
def train_autoencoder(data: Data, out: Out = OUT, recipe: Recipe = None, threads: Threads = 0) -> None:
    """Train the 8x, 16-channel autoencoder; then ``--recipe latents``.

    After the stages, or while they are trained: ``--recipe decoder``, ``--recipe patterns``.
    """
    from lumina_model.training.autoencoder import AutoencoderSettings, train_autoencoder

    train_autoencoder(data, out, _settings(AutoencoderSettings, recipe, "autoencoder", threads))


@train.command("stage")
def train_stage(
    stage: Annotated[str, typer.Argument(help="low_res, high_res, hq_tuning; or any name with --recipe.")],
    data: Data,
    out: Out = OUT,
    recipe: Recipe = None,
    threads: Threads = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="Compile the blocks.")] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="Share each batch, on a CPU; --threads among all.")
    ] = 1,
) -> None:
    """Train one stage of the transformer by flow matching."""
    import torch

    from lumina_model.training.flow import StageSettings, train_stage

    settings = _settings(StageSettings, recipe, stage, threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    train_stage(data, out, settings, device=device, compiled=compiled, processes=processes)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="embedded, or the folder of a training run.")],
    folder: Annotated[Path, typer.Argument(help="New pipeline folder.")],
    stage: Annotated[str, typer.Option("--stage", help="Which stage.")] = "hq_tuning",
) -> None:
    """Assemble the folder that diffusers' Lumina2Pipeline loads."""
    from lumina_model.checkpoint import assemble_pipeline

    assemble_pipeline(_parts(model, stage), folder)
    plain(stderr=True).print(f"{model} {stage} is at {folder}")


@app.command()
def bundle(run: Annotated[Path, typer.Argument(help="A training run with all three stages.")]) -> None:
    """Replace the package's embedded weights by those of a training run (for maintainers)."""
    from lumina_model.embedded.bundle import make_bundle

    make_bundle(run)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A transformer in any format; see `info`.")],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="New folder.")],
    to: Annotated[str, typer.Option("--format", help="diffusers (a transformer folder) or official.")],
    weights: WeightsOption = "ema",
    lora: LoraOption = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; default: as stored.", show_default=False)
    ] = None,
    stage: StageOption = "hq_tuning",
) -> None:
    """Write a transformer in another format; without --dtype and --lora every tensor keeps its bytes."""
    from lumina_model.formats.chosen import parse_lora
    from lumina_model.formats.convert import convert

    convert(_any_model(source, stage), folder, to, weights, [parse_lora(item) for item in lora or ()], dtype)
    plain(stderr=True).print(f"{source} is at {folder}, format {to}")


@app.command()
def info(
    model: Annotated[
        str | None,
        typer.Argument(
            help="embedded (the default), a training run, a pipeline or transformer folder, an official or "
            "distributed one, a .safetensors file, or a model of the Hugging Face hub.",
            show_default=False,
        ),
    ] = None,
    stage: StageOption = "hq_tuning",
    weights: WeightsOption = "ema",
    size: Annotated[str | None, typer.Option(help="2.6b, 3b, 4b or 7b, instead of MODEL.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Sizes beside those of Lumina-Next.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show a checkpoint or a size: parameters by part; for a checkpoint also bytes, digest and stage."""
    from lumina_model.formats import summary

    if model is not None and (size is not None or compare):
        raise UserError(f"expected MODEL or a size, found both ({model}); fix: leave one of them out")
    if compare:
        record = summary.compare(size)
    elif size is not None:
        record = summary.describe_size(size)
    else:
        record = summary.describe(_any_model(model or "embedded", stage), model or "embedded", weights)
    if as_json:
        print(json.dumps(record))
    else:
        summary.show(record, plain())


@app.command()
def generate(
    prompt: Annotated[list[str], typer.Argument(help="One or more prompts.")],
    model: Annotated[
        str,
        typer.Option(
            "--model", help="embedded, a training run, a pipeline folder, or a model of the Hugging Face hub."
        ),
    ] = "embedded",
    stage: StageOption = "hq_tuning",
    out: Annotated[Path, typer.Option("--out", help="Folder of the images.")] = Path("."),
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, help="Of the noise, the same for each prompt; zero is one like any other."
        ),
    ] = 0,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="KEY=VALUE of the sampling, or device=…")
    ] = None,
    image: Annotated[
        list[Path] | None, typer.Option("--image", help="Start from this image; one, or one per prompt.")
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="With --image: share of the steps that are done; 0.6.", show_default=False),
    ] = None,
    transformer: Annotated[
        str | None,
        typer.Option(help="Another transformer, in any form that `info` describes.", show_default=False),
    ] = None,
    lora: LoraOption = None,
    low_memory: Annotated[
        bool, typer.Option("--low-memory", help="One part, one layer and one image at a time: slower.")
    ] = False,
) -> None:
    """Make one image per prompt: OUT/0000.png, OUT/0001.png …, after those that are there."""
    from rich.progress import Progress

    from lumina_model.adapter import LuminaModel, checkpoint_parts
    from lumina_model.pictures import read_pictures, write_pictures

    if strength is not None and not 0 < strength <= 1:
        raise UserError(f"expected --strength above 0 and at most 1, found {strength}; fix: e.g. 0.6")
    if strength is not None and not image:
        raise UserError("expected --image with --strength, found none; fix: name the image to start from")
    if out.suffix.lower() in PICTURES and not out.is_dir():
        raise UserError(
            f"expected a folder with --out, found a picture's name, {out}; fix: --out {out.parent}"
        )
    source = _any_model(model, stage)
    parts = source if isinstance(source, dict) else checkpoint_parts(source)
    if wrong := [pair for pair in option or () if "=" not in pair]:
        raise UserError(f"expected --option KEY=VALUE, found {wrong[0]!r}; fix: give it a value")
    options = dict(pair.partition("=")[::2] for pair in option or ())
    if transformer:
        options["transformer"] = transformer
    if lora:
        options["lora"] = ",".join(lora)
    chosen = LuminaModel(model, stage, parts, options)
    settings = chosen.settings  # refused options are told here, before anything is made
    start = read_pictures(image, len(prompt), *settings.size) if image else None
    out.mkdir(parents=True, exist_ok=True)
    console = plain(stderr=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("steps", total=None)
        drawn = chosen.load(low_memory).generate(
            prompt, [seed] * len(prompt), settings,
            lambda done, total: progress.update(bar, completed=done, total=total),
            images=start, strength=1.0 if start is None else 0.6 if strength is None else strength,
        )  # fmt: skip
    names = [file.name for file in write_pictures(drawn, out)]
    console.print(f"{' to '.join(names if len(names) == 1 else [names[0], names[-1]])} in {out}")


@app.command()
def solvers(
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw the errors into.")] = None,
) -> None:
    """Measure how fast each solver converges where the solution is known; prints a Markdown table."""
    from lumina_model import solver_study

    results = solver_study.study()
    print(solver_study.markdown(results), end="")
    if plot is not None:
        solver_study.plot(results, plot)


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        sys.exit(2)


def _settings(cls: Any, recipe: str | None, name: str, threads: int) -> Any:
    import torch

    from lumina_model.training.recipes import FOLDER, load_recipe

    if threads:
        torch.set_num_threads(threads)
    return load_recipe(
        cls, Path(recipe) if recipe and recipe.endswith(".toml") else FOLDER / f"{recipe or name}.toml"
    )


def _parts(model: str, stage: str) -> dict[str, Path]:
    from lumina_model import embedded

    if model == "embedded":
        return embedded.parts(stage)
    run = Path(model)
    transformer = run / "stages" / stage / "transformer"
    if not transformer.is_dir():
        raise UserError(
            f"expected `embedded` or a training run with stages/{stage}/transformer, found none at {run}; "
            f"fix: check the folder and --stage"
        )
    return {name: run / name for name in embedded.SHARED} | {"transformer": transformer}


def _any_model(model: str, stage: str) -> str | dict[str, Path]:
    """The parts of `embedded` or of a training run; all else is for the formats to recognise."""
    return _parts(model, stage) if model == "embedded" or (Path(model) / "stages").is_dir() else model


if __name__ == "__main__":
    main()
