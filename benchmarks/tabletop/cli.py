"""``lumina-eval tabletop``: training sets of the embedded world, pictures of it, its judge and its CLIP."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lumina_eval.console import plain
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.progress import progress

if TYPE_CHECKING:
    from benchmarks.tabletop.trial import card as cards

app = typer.Typer(no_args_is_help=True, help="The embedded world: data, pictures, and how good its judge is.")

Side = Annotated[int, typer.Option(min=16, max=1024, help="Side of the pictures in pixels.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the scenes.")]
CARD = Path(__file__).parent / "CARD.md"


@app.command()
def dataset(
    folder: Annotated[Path, typer.Argument(help="Where images/ and train.jsonl go.")],
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 1000,
    size: Side = 128,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    patterned: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of things with a pattern; else 0.45.", show_default=False),
    ] = None,
) -> None:
    """Write a training set: images, and captions at four levels in five languages."""
    from benchmarks.tabletop.world.dataset import write_dataset

    write_dataset(folder, count, size=size, seed=seed, workers=workers, patterned=patterned)


@app.command()
def show(
    out: Annotated[Path, typer.Argument(help="PNG file to write.")],
    what: Annotated[Literal["scenes", "vocabulary", "judged"], typer.Option(help="What to draw.")] = "scenes",
    count: Annotated[int, typer.Option(min=1, max=400, help="Number of scenes.")] = 24,
    size: Side = 128,
    seed: Seed = 0,
) -> None:
    """Draw a sheet of scenes, of scenes with what the judge sees, or of all shapes and colours."""
    from benchmarks.tabletop.sheet import scene_sheet, vocabulary_sheet

    if what == "vocabulary":
        sheet = vocabulary_sheet(size)
    else:
        sheet = scene_sheet(size, count, seed, judged=what == "judged")
    try:
        Image.fromarray(sheet).save(out, format="PNG")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"expected a writable file, found {reason}, at {out}; fix: name another") from error


@app.command()
def card(
    vae: Annotated[Path | None, typer.Option(help="Autoencoder folder; else the embedded one.")] = None,
    n: Annotated[int | None, typer.Option(min=12, help="Pictures per score.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the pictures, to see that it works.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Card whose tables between the markers are replaced.")] = CARD,
) -> None:
    """Measure the judge, print the tables and write them into its card."""
    from benchmarks.tabletop.trial import card as cards
    from benchmarks.tabletop.trial.distortions import through
    from benchmarks.tabletop.trial.roundtrip import Roundtrip, embedded_folder

    effort = cards.QUICK if quick else cards.Effort()
    if n is not None:
        effort = dataclasses.replace(effort, pictures=n, edits=max(12, n // 4), curve=max(12, n // 5))
    console = plain()
    try:
        autoencoder = through(Roundtrip(vae or embedded_folder()))
    except UserError as error:
        if vae is not None:
            raise
        console.print(f"without the autoencoder: {error}")
        autoencoder = None
    found = []
    for table in cards.tables(effort, autoencoder):
        found.append(table)
        _print(console, table)
    cards.write_between_markers(out, cards.markdown(found))


@app.command()
def sampling(
    out: Annotated[Path, typer.Argument(help="Folder of the scores, one file per setting; resumed.")],
    stage: Annotated[str, typer.Option(help="Stage of the embedded model.")] = "hq_tuning",
    solver: Annotated[
        list[str] | None, typer.Option(help="Only this solver; repeatable. Default: all.", show_default=False)
    ] = None,
    per_task: Annotated[int, typer.Option(min=2, help="Dev prompts of each task.")] = 10,
    images: Annotated[int, typer.Option(min=1, help="Images of each prompt.")] = 2,
    margin: Annotated[float, typer.Option(help="Loss of overall score that does not matter.")] = 0.05,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw the scores into.")] = None,
) -> None:
    """Score the embedded model under every solver and guidance, and say which settings lose nothing."""
    from benchmarks.tabletop.trial import card as cards
    from benchmarks.tabletop.trial import sampling_plot
    from benchmarks.tabletop.trial import sampling_study as study

    chosen = tuple(solver or study.STEPS)
    if unknown := sorted({*chosen} - {*study.STEPS}):
        raise UserError(
            f"expected a solver out of {', '.join(study.STEPS)}, found {unknown[0]!r}; fix: take one"
        )
    wanted = study.settings(chosen)
    items = study.chosen_prompts(per_task)
    make_folder(out)
    done = study.draw_and_judge(stage, wanted, items, images, out)
    files = dict(track(done, total=len(wanted), description=stage, console=plain(stderr=True)))
    rows = study.rows(files, margin)
    if plot is not None:
        sampling_plot.plot(rows, plot)
    tables = [study.by_guidance(stage, files, margin), study.table(stage, rows)]
    if markdown:
        print(cards.markdown(tables), end="")
    else:
        for table in tables:
            _print(plain(), table)


@app.command()
def extractor(
    out: Annotated[
        Path, typer.Argument(help="Folder of the training; resumed. The weights go to OUT/weights.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Steps of 256 pictures.")] = 1000,
    pool: Annotated[int, typer.Option(min=1, help="Thousands of pictures to draw beforehand.")] = 70,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads, and processes that draw.")] = 2,
) -> None:
    """Train the small CLIP of the world that fidelity looks through, and measure it."""
    import torch

    from benchmarks.tabletop.extractor.bundle import write_bundle
    from benchmarks.tabletop.extractor.pool import CHUNK, draw_into
    from benchmarks.tabletop.extractor.training import Recipe, train

    torch.set_num_threads(threads)
    console = plain(stderr=True)
    with progress(console, "draw", pool * CHUNK) as advance:
        drawn = draw_into(make_folder(out) / "pool", seed, pool, threads, advance)
    with progress(console, "train", steps) as advance:
        model = train(drawn, out, Recipe(steps=steps, seed=seed), advance)
    write_bundle(model, out / "weights")
    retrieval(out / "weights")


@app.command()
def retrieval(
    weights: Annotated[
        Path | None, typer.Argument(help="Folder of an extractor; else the embedded one.", show_default=False)
    ] = None,
    scenes: Annotated[int, typer.Option(min=10, help="Pictures that no training saw.")] = 1000,
) -> None:
    """Measure the small CLIP: does it find a picture's caption, and tell it from a wrong one?"""
    from benchmarks.tabletop.extractor.embedder import TabletopEmbedder
    from benchmarks.tabletop.extractor.retrieval import measure
    from benchmarks.tabletop.trial import card as cards

    found = measure(TabletopEmbedder(weights), scenes)
    rows = [
        (f"own caption is the first of {scenes}", f"{found.first:.3f}", str(scenes)),
        (f"own caption is among the first ten of {scenes}", f"{found.first_ten:.3f}", str(scenes)),
        *(
            (f"right caption above one with a wrong {kind}", f"{share:.3f}", str(pairs))
            for kind, (share, pairs) in found.right.items()
        ),
    ]
    _print(plain(), cards.Table("Extractor", "", ("", "share", "pictures"), rows))


def _print(console: Console, table: cards.Table) -> None:
    shown = Table(*table.head, title=table.title, caption=table.text)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
