"""Images to start from, read and fitted; images drawn, written."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from lumina_model.errors import UserError

Picture = npt.NDArray[np.uint8]


def read_picture(file: Path, height: int, width: int) -> Picture:
    """An image file as RGB of a size, uint8 (height, width, 3).

    Upright by its EXIF tag, transparency on white (official imgproc.py, ``to_rgb_if_rgba``), scaled to cover
    the size and cropped around the centre, so that nothing is squashed.

    Raises:
        UserError: no image can be read there.
    """
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except FileNotFoundError:
        raise UserError(f"expected an image, found no such file, at {file}; fix: check the path") from None
    except UnidentifiedImageError:
        raise UserError(
            f"expected an image, found none that can be read, at {file}; fix: name another"
        ) from None
    white = Image.new("RGBA", upright.size, "white")
    flat = Image.alpha_composite(white, upright).convert("RGB")
    return np.asarray(ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS))


def read_pictures(files: Sequence[Path], count: int, height: int, width: int) -> list[Picture]:
    """One image for each of ``count`` prompts; a single file serves them all.

    Raises:
        UserError: another number of files, or one that cannot be read.
    """
    if len(files) not in (1, count):
        raise UserError(f"expected one image or {count}, found {len(files)}; fix: one for each prompt")
    return [read_picture(file, height, width) for file in [*files] * (count // len(files))]


def write_pictures(pictures: Iterable[Picture], folder: Path) -> list[Path]:
    """Write FOLDER/0000.png, FOLDER/0001.png … and return these; numbers go on after those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    there = [int(file.stem) for file in folder.glob("*.png") if file.stem.isdecimal()]
    files = []
    for number, picture in enumerate(pictures, max(there, default=-1) + 1):
        files.append(folder / f"{number:04d}.png")
        Image.fromarray(picture).save(files[-1])
    return files
