"""Images and verdicts that were made elsewhere: the official image layout, and verdict files.

Everything is checked as it is read. What is wrong is a UserError that names file, line and place, so that
the rules never meet a bad value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.geneval.prompt_set import item_of
from benchmarks.geneval.vocabulary import Vocabulary
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, nearest
from lumina_eval.records import Item, Verdict

#: Judge name of verdicts that came as a file.
SAVED = "saved"


def read_images(folder: Path, vocabulary: Vocabulary) -> list[tuple[Item, int, Path]]:
    """Find the images of the official layout: ``00017/metadata.jsonl`` and ``00017/samples/0000.png``.

    As in the official script (evaluate_images.py, 263 to 273 at af4902f2) any folder whose name is all digits
    counts, and any sample whose name *begins* with digits and ``.png``. Images come in order of their names.
    """
    if not folder.is_dir():
        raise UserError(f"expected a folder of images, found none at {folder}")
    found = []
    for prompt_folder in sorted(p for p in folder.iterdir() if p.is_dir() and p.name.isdigit()):
        metadata_file = prompt_folder / "metadata.jsonl"
        metadata = _object(_text(metadata_file), str(metadata_file))
        check_metadata(metadata, vocabulary, str(metadata_file))
        item = item_of(metadata, prompt_folder.name, vocabulary)
        samples = prompt_folder / "samples"
        if not samples.is_dir():
            raise UserError(f"expected the images of {prompt_folder} in {samples}, found no such folder")
        names = sorted(p for p in samples.iterdir() if p.is_file() and re.match(r"\d+\.png", p.name))
        found += [(item, index, path) for index, path in enumerate(names)]
    if not found:
        raise UserError(
            f"expected images like {folder}/00000/samples/0000.png beside {folder}/00000/metadata.jsonl, "
            "found none"
        )
    return found


def read_verdicts(file: Path, vocabulary: Vocabulary) -> tuple[list[Item], list[Verdict]]:
    """Read saved verdicts: one JSON object a line with filename, metadata, detections and colors.

    Lines with equal metadata are the images of one prompt, as in the official summary.
    """
    items: dict[str, Item] = {}
    images: dict[str, int] = {}
    lines_of: dict[str, int] = {}
    verdicts = []
    for number, line in _lines(file):
        where = f"{file}:{number}"
        record = _object(line, where)
        filename, metadata = _need(record, "filename", str, where), _need(record, "metadata", dict, where)
        if filename in lines_of:
            raise UserError(
                f"{where}: filename {filename!r} stands already in line {lines_of[filename]}; "
                "fix: keep one verdict for each image"
            )
        lines_of[filename] = number
        check_metadata(metadata, vocabulary, where)
        key = json.dumps(metadata)
        item = items.setdefault(key, item_of(metadata, f"{len(items):05d}", vocabulary))
        index = images[key] = images.get(key, -1) + 1
        output = check_output(record, vocabulary, where)
        verdicts.append(
            Verdict(
                item_id=item.id,
                index=index,
                image_sha256=digest_of(["saved verdict", filename, output]),
                judge=SAVED,
                output={"filename": filename, **output},
            )
        )
    if not verdicts:
        raise UserError(f"expected a verdict a line, found none, in {file}")
    return list(items.values()), verdicts


def check_metadata(metadata: Mapping[str, Any], vocabulary: Vocabulary, where: str) -> None:
    """Raise UserError unless this is an official metadata object over the vocabulary."""
    _need(metadata, "tag", str, where)
    _need(metadata, "prompt", str, where)
    include, exclude = metadata.get("include", []), metadata.get("exclude", [])
    for name, clauses in (("include", include), ("exclude", exclude)):
        if not isinstance(clauses, list):
            raise UserError(f"{where}: expected a list for metadata.{name}, found {_short(clauses)}")
        for place, clause in enumerate(clauses):
            _check_clause(clause, place, vocabulary, f"{where}: metadata.{name}[{place}]")


def check_output(output: Mapping[str, Any], vocabulary: Vocabulary, where: str) -> dict[str, Any]:
    """Return the detections and colors of a judge's output; raise UserError if they are not well formed."""
    detections = _need(output, "detections", dict, where)
    colors = output.get("colors", {})
    if not isinstance(colors, dict):
        raise UserError(f"{where}: expected an object for colors, found {_short(colors)}")
    for name in (*detections, *colors):
        if name not in vocabulary.classes:
            raise UserError(f"{where}: unknown class {name!r}; {nearest(name, vocabulary.classes)}")
    for name, rows in detections.items():
        _check_rows(rows, f"{where}: detections[{name!r}]")
    for name, words in colors.items():
        expected = len(detections.get(name, []))
        if not isinstance(words, list) or len(words) not in (0, expected):
            raise UserError(
                f"{where}: expected {expected} entries in colors[{name!r}], one for each detection, "
                f"found {_short(words)}"
            )
        for index, word in enumerate(words):
            if word is not None and word not in vocabulary.colors:
                raise UserError(
                    f"{where}: unknown colour {_short(word)} at colors[{name!r}][{index}]; "
                    f"{nearest(str(word), vocabulary.colors)}"
                )
    return {"detections": detections, "colors": colors}


def _check_clause(clause: Any, place: int, vocabulary: Vocabulary, where: str) -> None:
    if not isinstance(clause, dict):
        raise UserError(f"{where}: expected an object, found {_short(clause)}")
    name, count = clause.get("class"), clause.get("count")
    if name not in vocabulary.classes:
        raise UserError(f"{where}: unknown class {_short(name)}; {nearest(str(name), vocabulary.classes)}")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise UserError(f"{where}: expected a count of 0 or more, found {_short(count)}")
    color, position = clause.get("color"), clause.get("position")
    if "color" in clause and color not in vocabulary.colors:
        raise UserError(f"{where}: unknown colour {_short(color)}; {nearest(str(color), vocabulary.colors)}")
    if "position" not in clause:
        return
    pair = position if isinstance(position, list) and len(position) == 2 else [None, None]
    if pair[0] not in vocabulary.relations or type(pair[1]) is not int or not 0 <= pair[1] < place:
        raise UserError(
            f"{where}: expected position = [relation, index of an earlier clause] with a relation of "
            f"{', '.join(vocabulary.relations)}, found {_short(position)}"
        )


def _check_rows(rows: Any, where: str) -> None:
    if not isinstance(rows, list):
        raise UserError(f"{where}: expected a list of boxes, found {_short(rows)}")
    for index, row in enumerate(rows):
        numbers = isinstance(row, list) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in row
        )
        if not numbers or len(row) != 5:
            raise UserError(f"{where}[{index}]: expected [x1, y1, x2, y2, score], found {_short(row)}")
        with np.errstate(over="ignore"):
            if not np.isfinite(np.array(row, dtype=np.float32)).all():
                raise UserError(f"{where}[{index}]: expected finite numbers, found {_short(row)}")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_text(file).split("\n"), 1):
        if line.strip():
            yield number, line


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error


def _object(text: str, where: str) -> dict[str, Any]:
    """Parse one JSON object; NaN and Infinity are no JSON."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise UserError(f"{where}: broken JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {_short(value)}")
    return value


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number that JSON has")


def _need(record: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = record.get(key)
    if not isinstance(value, kind):
        wanted = "a string" if kind is str else "an object"
        found = _short(value) if key in record else "no such key"
        raise UserError(f"{where}: expected {wanted} for {key!r}, found {found}")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."
