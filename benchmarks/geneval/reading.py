"""Images and verdicts that were made elsewhere: the official image layout, and verdict files.

Everything is checked as it is read (``validation.py``). What is wrong is a UserError naming file, line and
place, so that the rules never meet a bad value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.geneval.prompt_set import item_of
from benchmarks.geneval.validation import check_metadata, check_output
from benchmarks.geneval.vocabulary import Vocabulary
from benchmarks.json_lines import need, object_of, objects_of, text_of
from lumina_eval.digests import digest_of, sha256_bytes
from lumina_eval.errors import UserError
from lumina_eval.records import Item, Verdict

#: Judge name of verdicts that came as a file.
SAVED = "saved"
#: A number in a file's name from which it is no count of images, if more than half of them would be absent.
UNCOUNTED = 16


class ItemBook:
    """The items met so far: equal metadata is one prompt, as in the official summary.

    A prompt of the protocol's own set keeps its id, so that runs pair by prompt however they were made; any
    other gets an id from its content.
    """

    def __init__(self, vocabulary: Vocabulary, known_ids: Mapping[str, str]) -> None:
        self.items: dict[str, Item] = {}
        self._vocabulary, self._known_ids = vocabulary, known_ids
        self._images: Counter[str] = Counter()

    def images(self, metadata: dict[str, Any], where: str, count: int = 1) -> tuple[Item, int]:
        """Check the metadata of ``count`` more images; return their item, and the index of the first."""
        check_metadata(metadata, self._vocabulary, where)
        key = json.dumps(metadata)
        identifier = self._known_ids.get(key) or f"x{sha256_bytes(key.encode())[:11]}"
        item = self.items.setdefault(key, item_of(metadata, identifier, self._vocabulary))
        self._images[key] += count
        return item, self._images[key] - count


def read_images(
    folder: Path, vocabulary: Vocabulary, known_ids: Mapping[str, str]
) -> list[tuple[Item, int, Path]]:
    """Find the images of the official layout: ``00017/metadata.jsonl`` and ``00017/samples/0000.png``.

    As in the official script (evaluate_images.py, 263 to 273 at af4902f2) any folder whose name is all digits
    counts, and any sample whose name *begins* with digits and ``.png``. An image's index is the number in its
    name, so that one that is absent moves no other.

    Raises UserError where the numbers count no images (seeds, dates), and for a layout that is broken.
    """
    if not folder.is_dir():
        raise UserError(
            f"expected a folder of images, found none at {folder}; fix: name the folder above 00000/samples"
        )
    book, found = ItemBook(vocabulary, known_ids), []
    numbers: dict[int, Path] = {}
    fullest = 0
    for prompt_folder in sorted(p for p in folder.iterdir() if p.is_dir() and p.name.isdigit()):
        metadata_file = prompt_folder / "metadata.jsonl"
        metadata = object_of(text_of(metadata_file), str(metadata_file))
        samples = prompt_folder / "samples"
        if not samples.is_dir():
            raise UserError(
                f"expected the images of {prompt_folder} in {samples}, found no such folder; "
                f"fix: put them there, or take {prompt_folder.name} away"
            )
        files = _numbered(samples)
        numbers |= files
        fullest = max(fullest, len(files))
        files = files or {0: samples / "0000.png"}  # no file at a path stands for an absent image
        item, start = book.images(metadata, str(metadata_file), max(files) + 1)
        found += [(item, start + number, path) for number, path in sorted(files.items())]
    if not fullest:
        raise UserError(
            f"expected images like {folder}/00000/samples/0000.png beside {folder}/00000/metadata.jsonl, "
            "found none; fix: name the folder above 00000, or lay the images out so"
        )
    if max(numbers) >= max(2 * fullest, UNCOUNTED):
        raise UserError(
            f"expected images numbered from 0, as 0000.png, found {numbers[max(numbers)]}, where a prompt "
            f"has {fullest} at most; fix: rename the images"
        )
    return found


def _numbered(samples: Path) -> dict[int, Path]:
    """Return the samples of a prompt by the number in their names.

    A second file of one number (``0001.png.bak``) is an image too, as in the official script; it gets a
    number above all others.
    """
    files: dict[int, Path] = {}
    again = []
    for path in sorted(p for p in samples.iterdir() if p.is_file()):
        name = re.match(r"(\d+)\.png", path.name)
        if name and files.setdefault(int(name[1]), path) != path:
            again.append(path)
    first = max(files, default=-1) + 1
    return files | dict(enumerate(again, first))


def read_verdicts(
    file: Path, vocabulary: Vocabulary, known_ids: Mapping[str, str]
) -> tuple[list[Item], list[Verdict]]:
    """Read saved verdicts: one JSON object a line with filename, metadata, detections and colors."""
    book = ItemBook(vocabulary, known_ids)
    lines_of: dict[str, int] = {}
    verdicts = []
    for number, record in objects_of(file):
        where = f"{file}:{number}"
        filename, metadata = need(record, "filename", str, where), need(record, "metadata", dict, where)
        if filename in lines_of:
            raise UserError(
                f"{where}: filename {filename!r} stands already in line {lines_of[filename]}; "
                "fix: keep one verdict for each image"
            )
        lines_of[filename] = number
        item, index = book.images(metadata, where)
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
        raise UserError(f"expected a verdict a line, found none, in {file}; fix: judge the images first")
    return list(book.items.values()), verdicts
