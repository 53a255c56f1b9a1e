"""``lumina-eval arena rate``: from a file of votes to ratings."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from lumina_eval.errors import UserError

if TYPE_CHECKING:
    from benchmarks.arena.ratings.results import Anchor, Rated
    from benchmarks.arena.readers.leaderboards import Leaderboard

#: Clusters by the word for them.
CLUSTERS: Final[Mapping[str | None, tuple[Literal["voter", "prompt"], ...] | None]] = {
    None: None,
    "none": (),
    "voter": ("voter",),
    "prompt": ("prompt",),
    "both": ("voter", "prompt"),
}


def rate(
    file: Annotated[
        Path,
        typer.Argument(help="Votes: JSON, JSONL, CSV, parquet, an arena's database, or a saved data set."),
    ],
    method: Annotated[
        Literal["bradley-terry", "elo"], typer.Option(help="Strengths that explain all votes; or online Elo.")
    ] = "bradley-terry",
    compat: Annotated[
        Literal["fastchat", "evalica", "arena-rank"] | None,
        typer.Option(help="Reproduce the numbers of another tool.", show_default=False),
    ] = None,
    k: Annotated[
        float | None, typer.Option("--k", help="Step of Elo, above 0; default 4.", show_default=False)
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="MODEL=VALUE or mean=VALUE fixes the scale; default mean=1000.", show_default=False
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Rounds of a bootstrap; 0 takes the sandwich.", metavar="N")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the bootstrap; default 0, Elo 42.", show_default=False)
    ] = None,
    cluster: Annotated[
        Literal["voter", "prompt", "both", "none"] | None,
        typer.Option(
            help="Which votes go together in intervals. Default: voter and prompt as far as the file tells.",
            show_default=False,
        ),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            help="Rate at equal values of this feature: columns NAME_a, NAME_b. 'style' is LMArena's four.",
            show_default=False,
        ),
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Only votes of this category.", show_default=False)
    ] = None,
    by_category: Annotated[bool, typer.Option("--by-category", help="Rate each category too.")] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, such as outcome=choice; repeatable.", show_default=False),
    ] = None,
    conversion: Annotated[
        Literal["majority", "share", "per-vote"] | None,
        typer.Option(help="How a Rapidata row becomes battles.", show_default=False),
    ] = None,
    criterion: Annotated[
        str, typer.Option(help="Rapidata: preference, coherence or alignment.")
    ] = "preference",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out, and say how many.")
    ] = False,
    with_named: Annotated[
        bool, typer.Option("--with-named", help="Keep votes whose voter saw the models' names.")
    ] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Show a leaderboard beside: a file, or 'published' for those of the papers.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Also chances to win and significance of each pair.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Rate models from a file of votes, with intervals, ranks, and a word on what cannot be told."""
    from benchmarks.arena import rating_tables as tables
    from benchmarks.arena.rating import rate_reading
    from benchmarks.arena.ratings.results import Choices
    from benchmarks.arena.readers.leaderboards import read_leaderboards
    from benchmarks.arena.readers.opening import HowToRead, read_battles

    if as_json + markdown + as_csv > 1:
        raise UserError("expected one of --json, --markdown and --csv, found several; fix: leave one")
    if k is not None and method != "elo":
        raise UserError(f"expected no --k for {method}, which has no step, found {k}; fix: --method elo")
    if k is not None and not 0 < k < math.inf:
        raise UserError(f"expected a number above 0 for --k, found {k:g}; fix: --k 4")
    if method == "elo" and compat == "arena-rank":
        raise UserError("expected fastchat or evalica for Elo, which arena-rank does not have; fix: --compat")
    if control and (method == "elo" or compat in ("evalica", "arena-rank")):
        raise UserError("expected no --control with Elo, evalica or arena-rank, found one; fix: leave it out")
    if seed is not None and not bootstrap:
        raise UserError(
            f"expected --bootstrap N beside --seed, which is for its rounds alone, found --seed {seed}; "
            "fix: add it, or leave --seed out"
        )
    choices = Choices(
        method=method,
        tool=compat,
        k=4.0 if k is None else k,
        anchor=_anchor(anchor),
        rounds=bootstrap,
        seed=seed,
        clusters=CLUSTERS[cluster],
    )
    boards = [board for address in beside or () for board in read_leaderboards(address)]
    reading = read_battles(
        file, HowToRead(column or (), conversion, criterion, control or (), skip_bad, with_named)
    )
    for unit in CLUSTERS[cluster] or ():
        if all(getattr(battle, unit) is None for battle in reading.battles):
            raise UserError(
                f"expected votes that name their {unit} for --cluster {cluster}, found none, in {file}; "
                f"fix: --column {unit}=COLUMN, or leave --cluster out"
            )
    found = rate_reading(reading, choices, category or (), by_category)
    overall = found[""]
    if as_json:
        answer = tables.as_json(overall, pairs)
        if by_category:
            answer["categories"] = {name: tables.as_json(each, pairs) for name, each in found.items() if name}
        print(json.dumps(answer, allow_nan=False))
    elif as_csv:
        print(tables.as_csv(overall), end="")
    elif markdown:
        for name, each in found.items():
            if name:
                print(f"**{tables.markdown_cell(name)}**\n")
            print(tables.as_markdown(each, boards))
            _say(each, name)
    else:
        _show(found, boards, pairs, file.name)


def _anchor(text: str | None) -> Anchor | None:
    from benchmarks.arena.ratings.results import Anchor

    if text is None:
        return None
    name, equals, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not equals or not name or not math.isfinite(number):
        raise UserError(
            f"expected --anchor MODEL=VALUE or mean=VALUE, found {text!r}; fix: --anchor mean=1000"
        )
    return Anchor(number, None if name == "mean" else name)


def _show(found: Mapping[str, Rated], boards: list[Leaderboard], pairs: bool, title: str) -> None:
    from benchmarks.arena import rating_tables as tables
    from lumina_eval.console import Output

    console = Output(False, sys.stdout).tables
    for name, each in found.items():
        console.print(tables.as_table(each, name or title, boards))
        if pairs:
            console.print(tables.pair_table(each))
        _say(each, name)
    for board in boards:
        note = f"{board.title}: {board.source} {board.date}; other votes, its own scale"
        console.print(tables.visible(note), markup=False, highlight=False)


def _say(rated: Rated, category: str) -> None:
    from benchmarks.arena.rating_tables import visible

    for each in rated.warnings:
        where = f", {visible(category)}" if category else ""
        print(f"warning ({each.code}{where}): {visible(each.message)}", file=sys.stderr)
