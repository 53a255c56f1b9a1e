"""How an export lies on disk: for our own arena, for an upload with a table, and as plain folders.

None of them names a model. In all of them match-ups come in the order of their names, which is random.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.files import said_clearly, write_atomic, write_lines

IMAGES: Final = "images"
MATCHUPS: Final = "matchups.jsonl"
#: A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV injection).
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """A match-up as a voter may know it; ``left`` and ``right`` are names of images."""

    id: str
    prompt: str
    category: str
    left: str
    right: str


#: Writes match-ups into a folder that already has ``images/NAME.png``.
Layout = Callable[[Path, Sequence[Shown]], None]


def arena(folder: Path, shown: Sequence[Shown]) -> None:
    """Write ``matchups.jsonl`` beside ``images/``: what ``lumina-eval arena serve`` reads."""
    write_lines(folder / MATCHUPS, [json.dumps(asdict(one), ensure_ascii=False) for one in shown])


def rapidata(folder: Path, shown: Sequence[Shown]) -> None:
    """Write ``pairs.csv`` beside ``images/``: a row for each pair, for an upload to an annotation service.

    Columns ``id``, ``prompt``, ``image1``, ``image2`` and ``category``; prompt and images are named as in the
    preference sets that Rapidata publishes (without ``model1`` and ``model2``). A cell that a spreadsheet
    would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "prompt", "image1", "image2", "category"])
    for one in shown:
        images = [f"{IMAGES}/{name}.png" for name in (one.left, one.right)]
        writer.writerow([one.id, safe_cell(one.prompt), *images, safe_cell(one.category)])
    write_atomic(folder / "pairs.csv", text.getvalue().encode())


def plain(folder: Path, shown: Sequence[Shown]) -> None:
    """Write a folder for each match-up: ``left.png``, ``right.png``, ``prompt.txt``; ``images/`` goes."""
    with said_clearly(folder):
        for one in shown:
            place = folder / one.id
            place.mkdir()
            (place / "prompt.txt").write_text(f"{one.prompt}\n", encoding="utf-8")
            for side, name in (("left", one.left), ("right", one.right)):
                shutil.copyfile(folder / IMAGES / f"{name}.png", place / f"{side}.png")
        shutil.rmtree(folder / IMAGES)


LAYOUTS: Final[Mapping[str, Layout]] = {"arena": arena, "rapidata": rapidata, "folder": plain}


def safe_cell(text: str) -> str:
    """Return the text of a CSV cell, with an apostrophe in front if it could start a formula.

    >>> safe_cell("=1+1"), safe_cell("a cat")
    ("'=1+1", 'a cat')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def read_match_ups(folder: Path) -> list[Shown]:
    """Read the match-ups of an arena folder; raise UserError if it is none."""
    path = folder / MATCHUPS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"expected an arena folder with {MATCHUPS}, found {error.strerror}, at {folder}; "
            f"fix: lumina-eval arena export RUN... --layout arena --out {folder}"
        ) from error
    shown = []
    for number, line in enumerate(lines, 1):
        try:
            shown.append(Shown(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}:{number}: no match-up of ours: {error}; fix: export anew") from error
    if not shown:
        raise UserError(f"expected match-ups, found an empty file, at {path}; fix: export anew")
    return shown
