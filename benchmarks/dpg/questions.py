"""The question file ``dpg_bench.csv``: one row a question, nine columns, the rows of an item together.

It is validated whole before anything is scored: the first bad cell is a UserError naming line and cell, with
the lines of the others. Cells are read as text (an id may be ``0``, a dependency ``1,5``) and kept as they
are; what a rule then skips or replaces is the rule's business (``rules.py``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lumina_eval.errors import UserError
from lumina_eval.records import Item

COLUMNS: Final = (
    "item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed",
    "tuple", "question_natural_language",
)  # fmt: skip
#: Columns in which an empty cell says nothing that can be scored.
_FILLED: Final = ("item_id", "tuple", "question_natural_language")
#: A number that a message can bear: further bad lines are counted.
_SHOWN_LINES: Final = 8
#: All prompts are one stratum: the score is a plain mean over them.
TASK: Final = "dpg"


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the file."""

    row: int
    """Place among the data rows of the whole file, from 0."""
    id: int
    """Proposition id, from 1; unique among the rows of an item that stand together."""
    parents: tuple[int, ...]
    """Proposition ids that this question depends on, in the order of the cell; 0 is no parent."""
    tuple: str
    """The fact that is asked for, e.g. ``attribute - color (rubix cube, purple)``."""
    text: str

    @property
    def category(self) -> str:
        """The detailed (L2) category: what stands before the tuple's first bracket, e.g. ``global -``."""
        return self.tuple.split("(")[0].strip()


def broad_category(category: str) -> str:
    """Return the broad (L1) category: what stands before the first dash of the detailed one."""
    return category.split("-")[0].strip()


def read_items(file: Path) -> list[Item]:
    """Return the items of a question file in its order, each with its questions as metadata.

    Raises UserError for a file that is not whole: a missing column, a row of another length, a cell that
    is empty or malformed, an unknown parent, a proposition id twice in the rows of an item.
    """
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the questions {file}: {error}; fix: download the file anew") from error
    rows = list(_rows(text, file))
    if not rows:
        raise UserError(f"expected a question a line, found none, in {file}; fix: download the file anew")
    problems = sorted([*_bad_cells(rows), *_repeated(rows)]) or _unknown_parents(rows)
    if problems:
        raise UserError(_told(problems, file))
    blob = git_blob(data)
    prompts: dict[str, str] = {}
    questions: dict[str, list[Question]] = {}
    for number, (_, row) in enumerate(rows):
        prompts.setdefault(row["item_id"], row["text"].strip())
        questions.setdefault(row["item_id"], []).append(
            Question(
                row=number,
                id=int(row["proposition_id"]),
                parents=_parents(row["dependency"]) or (),
                tuple=row["tuple"],
                text=row["question_natural_language"],
            )
        )
    return [make_item(item_id, prompts[item_id], asked, blob) for item_id, asked in questions.items()]


def make_item(item_id: str, prompt: str, questions: list[Question], blob: str | None) -> Item:
    """Make the record of one prompt: whatever the rules need later goes with it.

    ``blob`` names the question file; None where there is none.
    """
    metadata = {"questions_blob": blob, "questions": [asdict(question) for question in questions]}
    return Item(id=item_id, prompt=prompt, task=TASK, metadata=metadata)


def questions_of(item: Item) -> list[Question]:
    """Return the questions of an item in the order of the file."""
    rows: list[dict[str, Any]] = item.metadata["questions"]
    return [Question(**{**row, "parents": tuple(row["parents"])}) for row in rows]


def git_blob(data: bytes) -> str:
    """Return the id that git gives to a file of this content, 40 hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


#: A row: the number of its first line in the file, and its cells by column.
_Row = tuple[int, dict[str, str]]
#: What is wrong: line, and the sentence about it.
_Problem = tuple[int, str]


def _rows(text: str, file: Path) -> Iterator[_Row]:
    """Yield the data rows; empty lines are none, as for the official reader."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if cells and header is None:
                header = _checked_header(cells, file, line)
            elif cells and header is not None:
                if len(cells) != len(header):
                    raise UserError(
                        f"{file}:{line}: expected {len(header)} cells, found {len(cells)}; "
                        "fix: put a cell that holds a comma in quotes"
                    )
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{file}:{line}: broken CSV: {error}; fix: download the file anew") from error


def _checked_header(cells: list[str], file: Path, line: int) -> list[str]:
    missing = [name for name in COLUMNS if name not in cells]
    if missing:
        raise UserError(
            f"{file}:{line}: expected the columns {', '.join(COLUMNS)}, found no {', '.join(missing)}; "
            "fix: give the question file of DPG-Bench"
        )
    return cells


def _parents(cell: str) -> tuple[int, ...] | None:
    """Read ``0`` or ``1,5``; None if it is neither."""
    parts = [part.strip() for part in cell.split(",")]
    if not all(re.fullmatch(r"[0-9]+", part) for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _bad_cells(rows: list[_Row]) -> Iterator[_Problem]:
    for line, row in rows:
        for name in _FILLED:
            if not row[name].strip():
                yield line, f"expected text in column {name}, found an empty cell"
        if not re.fullmatch(r"[1-9][0-9]*", row["proposition_id"].strip()):
            found = row["proposition_id"]
            yield line, f"expected a whole number from 1 in column proposition_id, found {found!r}"
        if _parents(row["dependency"]) is None:
            yield (
                line,
                "expected proposition ids parted by commas, or 0, in column dependency, "
                f"found {row['dependency']!r}",
            )


def _repeated(rows: list[_Row]) -> Iterator[_Problem]:
    """Find ids that stand twice in the rows of an item that follow each other."""
    seen: dict[str, int] = {}
    item_id = None
    for line, row in rows:
        if row["item_id"] != item_id:
            item_id, seen = row["item_id"], {}
        number = row["proposition_id"].strip()
        if number in seen:
            yield (
                line,
                f"expected each proposition_id once in item {item_id}, found {number!r}, "
                f"which stands in line {seen[number]} too",
            )
        seen.setdefault(number, line)


def _unknown_parents(rows: list[_Row]) -> list[_Problem]:
    """Find dependencies on a question that the item does not have anywhere in the file."""
    known: dict[str, set[int]] = {}
    for _, row in rows:
        known.setdefault(row["item_id"], {0}).add(int(row["proposition_id"]))
    return [
        (
            line,
            f"expected parents among the propositions of item {row['item_id']} in column dependency, "
            f"found {row['dependency']!r}, and there is no {parent}",
        )
        for line, row in rows
        for parent in _parents(row["dependency"]) or ()
        if parent not in known[row["item_id"]]
    ]


def _told(problems: list[_Problem], file: Path) -> str:
    line, text = problems[0]
    others = sorted({other for other, _ in problems[1:]} - {line})
    shown = ", ".join(map(str, others[:_SHOWN_LINES])) + (", …" if len(others) > _SHOWN_LINES else "")
    more = f" (and {len(others)} more lines: {shown})" if others else ""
    return f"{file}:{line}: {text}{more}; fix: mend the file, or download it anew"
