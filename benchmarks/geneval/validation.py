"""Checks of foreign objects: official metadata, and what a judge says it saw.

``where`` is the start of each message: the file, the line, or the image that the object belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.geneval.vocabulary import Vocabulary
from benchmarks.json_lines import need, short
from lumina_eval.errors import UserError, nearest

#: Rules work in float32; what does not fit there (or is NaN) is no box.
_LARGEST = float(np.finfo(np.float32).max)
_ROW = "[x1, y1, x2, y2, score]"


def check_metadata(metadata: Mapping[str, Any], vocabulary: Vocabulary, where: str) -> None:
    """Raise UserError unless this is an official metadata object over the vocabulary."""
    need(metadata, "tag", str, where)
    need(metadata, "prompt", str, where)
    include, exclude = metadata.get("include", []), metadata.get("exclude", [])
    for name, clauses in (("include", include), ("exclude", exclude)):
        if not isinstance(clauses, list):
            raise UserError(
                f"{where}: expected a list for metadata.{name}, found {short(clauses)}; "
                "fix: write the official metadata of the prompt"
            )
        for place, clause in enumerate(clauses):
            _check_clause(clause, place, vocabulary, f"{where}: metadata.{name}[{place}]")


def check_output(output: Mapping[str, Any], vocabulary: Vocabulary, where: str) -> dict[str, Any]:
    """Return the detections and colors of a judge's output; raise UserError if they are not well formed."""
    detections = need(output, "detections", dict, where)
    colors = output.get("colors", {})
    if not isinstance(colors, dict):
        raise UserError(
            f"{where}: expected an object for colors, found {short(colors)}; "
            "fix: write {class: [colour or null, …]}, or leave colors out"
        )
    for name in (*detections, *colors):
        if name not in vocabulary.classes:
            raise _unknown("class", name, vocabulary.classes, where)
    for name, rows in detections.items():
        _check_rows(rows, f"{where}: detections[{name!r}]")
    for name, words in colors.items():
        expected = len(detections.get(name, []))
        if not isinstance(words, list) or len(words) not in (0, expected):
            raise UserError(
                f"{where}: expected {expected} entries in colors[{name!r}], one for each detection, "
                f"found {short(words)}; fix: write null where no colour is known"
            )
        for index, word in enumerate(words):
            if word is not None and word not in vocabulary.colors:
                raise _unknown("colour", word, vocabulary.colors, f"{where}: colors[{name!r}][{index}]")
    return {"detections": detections, "colors": colors}


def _unknown(what: str, word: Any, known: Iterable[str], where: str) -> UserError:
    return UserError(
        f"{where}: unknown {what} {short(word)} ({nearest(str(word), known)}); "
        f"fix: write a {what} of the protocol's vocabulary"
    )


def _check_clause(clause: Any, place: int, vocabulary: Vocabulary, where: str) -> None:
    if not isinstance(clause, dict):
        raise UserError(f"{where}: expected an object, found {short(clause)}; fix: write {{class, count}}")
    name, count = clause.get("class"), clause.get("count")
    if name not in vocabulary.classes:
        raise _unknown("class", name, vocabulary.classes, where)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UserError(
            f"{where}: expected a count of 1 or more, found {short(count)}; fix: write how many objects the "
            "clause is about, or leave the clause out"
        )
    color, position = clause.get("color"), clause.get("position")
    if "color" in clause and color not in vocabulary.colors:
        raise _unknown("colour", color, vocabulary.colors, where)
    if "position" not in clause:
        return
    pair = position if isinstance(position, list) and len(position) == 2 else [None, None]
    if pair[0] not in vocabulary.relations or type(pair[1]) is not int or not 0 <= pair[1] < place:
        raise UserError(
            f"{where}: expected position = [relation, index of an earlier clause] with a relation of "
            f"{', '.join(vocabulary.relations)}, found {short(position)}; "
            "fix: write the official metadata of the prompt"
        )


def _check_rows(rows: Any, where: str) -> None:
    if not isinstance(rows, list):
        raise UserError(f"{where}: expected a list of boxes, found {short(rows)}; fix: write [{_ROW}, …]")
    for index, row in enumerate(rows):
        numbers = isinstance(row, list) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in row
        )
        if not numbers or len(row) != 5:
            raise UserError(
                f"{where}[{index}]: expected {_ROW}, found {short(row)}; fix: write five numbers for each box"
            )
        if not all(abs(value) <= _LARGEST for value in row):
            raise UserError(
                f"{where}[{index}]: expected finite float32 numbers, found {short(row)}; "
                "fix: write corners in pixels, or leave the box out"
            )
        x1, y1, x2, y2, score = (np.float32(value) for value in row)
        if x2 < x1 or y2 < y1:
            raise UserError(
                f"{where}[{index}]: expected corners with x1 <= x2 and y1 <= y2, found {short(row)}; "
                "fix: write corners, not width and height"
            )
        if not 0 <= score <= 1:
            raise UserError(
                f"{where}[{index}]: expected a score from 0 to 1, found {short(row[4])}; "
                "fix: write the detector's score as a share, not in percent"
            )
