"""The official image layout, read and written: ``CATEGORY/samples/{prompt}_{number:06d}.png``.

The number runs over the images of a category: with ten images per prompt those of its second prompt are 10 to
19. A prompt that cannot be a file name (too long, or with "_" or "/") has its id there instead, and a file
``names.jsonl`` beside ``samples`` tells whose each such image is: ``{"filename": …, "item_id": …}``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.json_lines import need, objects_of
from benchmarks.t2i_compbench.prompt_set import item_of
from benchmarks.t2i_compbench.reading import parts_of
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, said_clearly, write_lines
from lumina_eval.records import Item, Verdict

SAMPLES: Final = "samples"
NAMES: Final = "names.jsonl"
SUFFIXES: Final = (".png", ".jpg", ".jpeg")
#: Bytes of a file name at most, on the file systems in use.
LONGEST: Final = 255


def read_images(
    folder: Path, categories: Sequence[str], known: Sequence[Item] | None, images_per_prompt: int
) -> list[tuple[Item, int, Path]]:
    """Find the images of each category, by prompt; a folder with ``samples`` in it is of the only category.

    ``known`` are the prompts that may be there, None for any. Files that are no pictures are not looked at.
    Raises UserError for whatever is wrong.
    """
    found = []
    for category, samples in _sample_folders(folder, categories):
        items = None if known is None else [item for item in known if item.task == category]
        found += _read_category(category, samples, items, images_per_prompt)
    if not found:
        raise UserError(
            f"expected images like {folder}/{categories[0]}/{SAMPLES}/a red dog_000000.png, found none; "
            "fix: name the folder above those of the categories, or lay the images out so"
        )
    return found


def write_images(folder: Path, images: Iterable[tuple[Item, int, Path]]) -> None:
    """Write images in the official layout; prompts are numbered as they come, category by category.

    Raises UserError if a folder of samples holds other files, which the official scripts would score too.
    """
    given = list(images)
    per_prompt = max((index for _, index, _ in given), default=0) + 1
    for category in dict.fromkeys(item.task for item, _, _ in given):
        part = [entry for entry in given if entry[0].task == category]
        places = place_of(item for item, _, _ in part)
        names = {
            (item.id, index): _file_name(item, places[item.id] * per_prompt + index)
            for item, index, _ in part
        }
        samples = make_folder(folder / category / SAMPLES)
        strangers = {path.name for path in samples.iterdir()} - set(names.values())
        if strangers:
            raise UserError(
                f"expected an empty folder or images of this export in {samples}, found {min(strangers)!r}; "
                "fix: name another folder"
            )
        for item, index, path in part:
            _copy(path, samples / names[item.id, index])
        told = [
            json.dumps({"filename": names[item.id, index], "item_id": item.id})
            for item, index, _ in part
            if _prompt_name(item.prompt, 0, category) is None
        ]
        if told:
            write_lines(samples.parent / NAMES, told)


def named(items: Iterable[Item], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts with ``filename`` and ``question_id``: those of a judge know only whose they are.

    The names are those that :func:`write_images` gives to the same images.
    """
    by_id = {item.id: item for item in items}
    places = place_of(by_id.values())
    per_prompt = max((verdict.index for verdict in verdicts), default=0) + 1
    found = []
    for verdict in verdicts:
        if "filename" not in verdict.output:
            number = places[verdict.item_id] * per_prompt + verdict.index
            name = {"filename": _file_name(by_id[verdict.item_id], number), "question_id": number}
            verdict = verdict.model_copy(update={"output": {**name, **verdict.output}})
        found.append(verdict)
    return found


def place_of(items: Iterable[Item]) -> dict[str, int]:
    """Return the number of each item within its category, by id, in the order in which they come."""
    places: dict[str, int] = {}
    counts: dict[str, int] = {}
    for item in items:
        if item.id not in places:
            places[item.id] = counts.get(item.task, 0)
            counts[item.task] = places[item.id] + 1
    return places


def _sample_folders(folder: Path, categories: Sequence[str]) -> list[tuple[str, Path]]:
    """Return the folders of samples that are there, in the order of the categories."""
    if (folder / SAMPLES).is_dir():
        if len(categories) > 1:
            raise UserError(
                f"expected a folder for each category in {folder}, found {SAMPLES} of one that nobody names; "
                "fix: --set 'prompts.categories=[\"color\"]', or whichever it is"
            )
        return [(categories[0], folder / SAMPLES)]
    return [(name, folder / name / SAMPLES) for name in categories if (folder / name / SAMPLES).is_dir()]


def _read_category(
    category: str, samples: Path, known: Sequence[Item] | None, images_per_prompt: int
) -> list[tuple[Item, int, Path]]:
    by_id = {item.id: item for item in known or ()}
    told = _read_names(samples.parent / NAMES, known is not None)
    items: dict[str, Item] = {}
    numbered: dict[str, dict[int, Path]] = {}
    strangers = []
    for path in sorted(path for path in samples.iterdir() if path.suffix.lower() in SUFFIXES):
        if path.name in told:
            item, number = by_id.get(told[path.name]), _number(path)
        else:
            prompt, number, _ = parts_of(path.name, category, str(samples))
            item = item_of(category, prompt)
            item = item if known is None else by_id.get(item.id)
        if item is None:
            strangers.append(path.name)
            continue
        before = numbered.setdefault(item.id, {}).setdefault(number, path)
        if before != path:
            raise UserError(
                f"expected one image of number {number} in {samples}, found {before.name!r} and "
                f"{path.name!r}; fix: take one of them away"
            )
        items[item.id] = item
    if strangers:
        raise UserError(
            f"expected prompts of the prompt files in {samples}, found {len(strangers)} images of others, "
            f"e.g. {strangers[0]!r}; fix: take them away, or judge prompts of your own without --questions, "
            "with LUMINA_EVAL_DATA set to a folder without fetched prompts"
        )
    order = [item.id for item in known or ()]
    order = [name for name in order if name in items] or sorted(items, key=lambda name: min(numbered[name]))
    indexed = _indexed(numbered, order, list(by_id), images_per_prompt)
    return [
        (items[name], index, path or samples / _file_name(items[name], number))
        for name in order
        for index, (number, path) in sorted(indexed[name].items())
    ]


def _indexed(
    numbered: Mapping[str, Mapping[int, Path]], order: Sequence[str], known: Sequence[str], per_prompt: int
) -> dict[str, dict[int, tuple[int, Path | None]]]:
    """Turn the numbers of a category into indices within each prompt: index to number and file.

    If the numbers stand in blocks, one for each prompt of the set or of the folder, they tell the index even
    where an image is missing, and a number that is not there, below the highest, has no file. Otherwise the
    images of a prompt are counted in the order of their numbers.
    """
    fullest = max((len(images) for images in numbered.values()), default=1)
    highest = max((max(images) for images in numbered.values()), default=0)
    for names in (known, order):
        place = {name: number for number, name in enumerate(names)}
        for block in (fullest, per_prompt):
            if all(number // block == place.get(name) for name in numbered for number in numbered[name]):
                whole = {name: range(place[name] * block, (place[name] + 1) * block) for name in numbered}
                return {
                    name: {n % block: (n, numbered[name].get(n)) for n in numbers if n <= highest}
                    for name, numbers in whole.items()
                }
    return {name: dict(enumerate(sorted(images.items()))) for name, images in numbered.items()}


def _read_names(file: Path, prompts_known: bool) -> dict[str, str]:
    """Return ``names.jsonl``: file name to item id; nothing if there is no such file."""
    if not file.is_file():
        return {}
    if not prompts_known:
        raise UserError(
            f"expected the prompts that {file} speaks of by id, found none; fix: name them with --questions"
        )
    return {
        need(record, "filename", str, f"{file}:{number}"): need(record, "item_id", str, f"{file}:{number}")
        for number, record in objects_of(file)
    }


def _number(path: Path) -> int:
    digits = path.stem.rpartition("_")[2]
    if not re.fullmatch(r"[0-9]{1,18}", digits):
        raise UserError(
            f"expected a number after the last '_' of {path.name!r}, found none, in {path.parent}; "
            "fix: name the image as the official layout does"
        )
    return int(digits)


def _file_name(item: Item, number: int) -> str:
    return _prompt_name(item.prompt, number, item.task) or f"{item.id.replace('_', '-')}_{number:06d}.png"


def _prompt_name(prompt: str, number: int, category: str) -> str | None:
    """Return the official file name, None if the prompt would not come back from it."""
    name = f"{prompt}_{number:06d}.png"
    if len(name.encode()) > LONGEST or prompt.startswith(".") or "\0" in prompt:
        return None
    try:
        back = parts_of(name, category, "")
    except UserError:
        return None
    return name if back == (prompt, number, number) else None


def _copy(source: Path, target: Path) -> None:
    """Copy an image as PNG; a copy that was cut off has another name."""
    part = target.with_name(".part.png")
    with said_clearly(target):
        if source.suffix.lower() == ".png":
            shutil.copyfile(source, part)
        else:
            with Image.open(source) as image:
                image.convert("RGB").save(part)
        os.replace(part, target)
