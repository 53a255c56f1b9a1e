"""Image folders of DPG-Bench, read and written.

The official layout is flat: one file an item, a grid of its four images; the item is what stands before the
first dot of the file's name (compute_dpg_bench.py, 123, of TencentQQGYLab/ELLA at 3c228f1d). Files of single
images are read too: ``ITEM_0.png`` to ``ITEM_3.png``, or ``ITEM/0000.png`` to ``ITEM/0003.png``. What is no
image by its ending, such as the official script's own result files, is passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.dpg import grid
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.records import Item

ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
#: An image: whose it is, its number, its file, and its box in a file that holds several.
Found = tuple[Item, int, Path, grid.Box | None]


@dataclass(frozen=True)
class Listing:
    """What lies in a folder, by item; ``unknown`` are the names of files and folders that are no item's."""

    grids: dict[str, Path] = field(default_factory=dict)
    singles: dict[str, dict[int, Path]] = field(default_factory=dict)
    unknown: dict[str, Path] = field(default_factory=dict)


def list_images(folder: Path, known: Mapping[str, Item]) -> Listing:
    """Return what images lie in a folder, by their names alone.

    Raises UserError if there are none, if an image stands there twice, or if its number is above 3.
    """
    found = Listing()
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            inside = sorted(inner for inner in path.iterdir() if inner.suffix.lower() in ENDINGS)
            if path.name in known:
                for inner in inside:
                    if re.fullmatch(r"[0-9]+", inner.stem):
                        _put(found, path.name, int(inner.stem), inner)
            elif inside:
                found.unknown.setdefault(path.name, inside[0])
        elif path.is_file() and path.suffix.lower() in ENDINGS:
            _file(found, path, known)
    if not found.grids and not found.singles and not found.unknown:
        raise UserError(
            f"expected images such as {folder}/ITEM.png (grids of four), {folder}/ITEM_0.png or "
            f"{folder}/ITEM/0000.png, found none; fix: give the folder that the images lie in"
        )
    return found


def read_images(listing: Listing, known: Mapping[str, Item], side: int, images: int) -> list[Found]:
    """Return the images of the known items in their order.

    ``side`` is that of one image of a grid, in pixels (the official ``--resolution``, which has no default
    either); 0 is not said. ``images`` is what a file of the flat layout holds, 4 or 1 (the official
    ``--pic-num``).

    Raises UserError for a grid of another size, and where there are grids and no side is said: nothing in a
    picture of 1024 pixels tells whether it is one image or four of 512.
    """
    if listing.grids and images not in (1, grid.CROPS):
        raise UserError(
            f"expected 1 or {grid.CROPS} images in a file of the flat layout, found images_per_prompt = "
            f"{images}; fix: --set images_per_prompt={grid.CROPS}"
        )
    boxes: list[grid.Box | None] = [None]
    if images == grid.CROPS:
        boxes = [*grid.boxes(_side(list(listing.grids.values()), side))]
    found: list[Found] = []
    for item_id, item in known.items():
        if item_id in listing.grids:
            found += [(item, crop, listing.grids[item_id], box) for crop, box in enumerate(boxes)]
        found += [(item, crop, path, None) for crop, path in sorted(listing.singles.get(item_id, {}).items())]
    return found


def write_images(folder: Path, images: Iterable[tuple[Item, int, Path]]) -> None:
    """Write the official layout: the grid of four images of each item, or its only image, as ``ITEM.png``.

    Raises UserError, before anything is written, unless each item has four images or each has one, all
    squares of one size, and a name that the official script can read.
    """
    of_item: dict[str, dict[int, Path]] = {}
    for item, crop, path in images:
        of_item.setdefault(item.id, {})[crop] = path
    counts = {len(crops) for crops in of_item.values()}
    whole = all(sorted(crops) == list(range(len(crops))) for crops in of_item.values())
    if not whole or counts not in ({1}, {grid.CROPS}):
        lacking = min(of_item, key=lambda item_id: len(of_item[item_id]), default="any item")
        raise UserError(
            f"expected {grid.CROPS} images of each item, or one of each, found "
            f"{sorted(of_item.get(lacking, {}))} of {lacking}; fix: make the images that are absent"
        )
    for item_id in of_item:
        if not item_id or Path(item_id).name != item_id or "." in item_id or item_id.startswith("."):
            raise UserError(
                f"expected an item id that can be a file's name without dots, found {item_id!r}; "
                "fix: rename the item in the question file"
            )
    _one_size([path for crops in of_item.values() for path in crops.values()])
    make_folder(folder)
    for item_id, crops in of_item.items():
        pictures = [_picture(crops[crop]) for crop in sorted(crops)]
        whole_picture = grid.join(pictures, item_id) if len(pictures) > 1 else pictures[0]
        whole_picture.save(folder / f"{item_id}.png")


def _file(found: Listing, path: Path, known: Mapping[str, Item]) -> None:
    """Sort a file of the flat layout in; an item's own name comes before that of a single image."""
    stem = path.name.split(".")[0]
    single = re.fullmatch(r"(.+)_([0-9]+)", stem)
    if stem in known:
        if stem in found.grids or stem in found.singles:
            raise _twice(stem, path, found.grids.get(stem) or next(iter(found.singles[stem].values())))
        found.grids[stem] = path
    elif single and single[1] in known:
        _put(found, single[1], int(single[2]), path)
    else:
        found.unknown.setdefault(stem, path)


def _put(found: Listing, item_id: str, crop: int, path: Path) -> None:
    if crop >= grid.CROPS:
        raise UserError(
            f"expected images 0 to {grid.CROPS - 1} of item {item_id!r}, found {path}; fix: take it away"
        )
    crops = found.singles.setdefault(item_id, {})
    if item_id in found.grids or crop in crops:
        raise _twice(item_id, path, found.grids.get(item_id) or crops[crop])
    crops[crop] = path


def _twice(item_id: str, path: Path, other: Path) -> UserError:
    return UserError(
        f"expected each image of item {item_id!r} once, found {other} and {path}; fix: keep one of them"
    )


def _side(grids: list[Path], side: int) -> int:
    """Return the side of one image of the grids; 1 where no grid can be read, which is told later.

    Raises UserError if it is not said, or if a grid is not twice as wide and high.
    """
    sizes = dict(_sizes(grids))
    if side:
        for path, size in sizes.items():
            grid.check_size(size, side, str(path))
    elif sizes:
        path, (width, height) = _likely_grid(sizes)
        grids_fix, what = "", "no grid of four squares"
        if width == height and width % 2 == 0:
            what = f"a grid of four images of {width // 2} by {width // 2}, or a single one"
            grids_fix = f"--set images.side={width // 2} for grids; "
        raise UserError(
            f"expected images.side, found 0: of {len(sizes)} files one like {path} ({width} by {height}) is "
            f"{what}; fix: {grids_fix}for one image an item --set images_per_prompt=1; for several the names "
            "ITEM_0.png to ITEM_3.png"
        )
    return side or 1


def _likely_grid(sizes: Mapping[Path, tuple[int, int]]) -> tuple[Path, tuple[int, int]]:
    """Return the first file of the commonest size, among sizes that a grid can have if there are any."""
    able = {path: size for path, size in sizes.items() if size[0] == size[1] and size[0] % 2 == 0} or sizes
    common = Counter(able.values()).most_common(1)[0][0]
    return next((path, size) for path, size in able.items() if size == common)


def _one_size(paths: list[Path]) -> None:
    sizes = dict(_sizes(paths))
    unreadable = [path for path in paths if path not in sizes]
    if unreadable:
        raise UserError(
            f"expected an image, found none that can be read, in {unreadable[0]}; fix: make it again"
        )
    different = sorted(set(sizes.values()))
    if len(different) != 1 or different[0][0] != different[0][1]:
        told = ", ".join(f"{width} by {height}" for width, height in different)
        raise UserError(f"expected square images of one size, found {told}; fix: make all of one size")


def _sizes(paths: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the sizes of those images that can be opened, without reading their pixels."""
    for path in paths:
        try:
            with Image.open(path) as image:
                yield path, image.size
        except (OSError, SyntaxError, ValueError):
            continue


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
