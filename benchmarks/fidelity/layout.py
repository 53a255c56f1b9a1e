"""Which image of a folder belongs to which prompt."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.fidelity.features.pictures import find_pictures
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, said_clearly
from lumina_eval.records import Item

Found = tuple[Item, int, Path]


def every_image(folder: Path) -> list[Found]:
    """Return each image below a folder as an item of its own, named by its path."""
    return [
        (Item(id=path.relative_to(folder).as_posix(), prompt="", task="all"), 0, path)
        for path in find_pictures(folder)
    ]


def by_prompt(folder: Path, known: Mapping[str, Item]) -> list[Found]:
    """Return the images of known prompts: ``ID.png`` anywhere below the folder, or ``ID/ANY.png`` in order.

    Raises UserError for an image of no prompt of the protocol.
    """
    of_item: defaultdict[str, list[Path]] = defaultdict(list)
    for path in find_pictures(folder):
        name = path.stem if path.stem in known else path.parent.name
        if name not in known:
            raise UserError(
                f"expected images named by the ids of the protocol's prompts (such as "
                f"{next(iter(known), 'ID')}.png), found {path}; fix: take it away, or --protocol folder"
            )
        of_item[name].append(path)
    return [(item, index, path) for name, item in known.items() for index, path in enumerate(of_item[name])]


def write(folder: Path, images: Iterable[Found]) -> None:
    """Write ``ID/INDEX.png`` for each image; UserError for an id that would leave the folder."""
    for item, index, path in images:
        if not (folder / item.id).resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"expected an id that names a place in {folder}, found {item.id!r}; fix: give it another id"
            )
        place = make_folder(folder / item.id)
        with said_clearly(place):
            shutil.copyfile(path, place / f"{index:05d}{path.suffix}")
