"""Image files as the FID tools read them: which files a folder holds, and what comes out of each.

clean-fid, pytorch-fid and torch-fidelity all read with ``Image.open(path).convert("RGB")``, so that is what
is done here, and a score means the same. What it amounts to (Pillow 10 and newer):

- transparency is dropped, not laid over a background: the hidden colours count (RGBA, LA, a palette's);
- 16-bit greys are cut at 255, not scaled: all but the darkest 256 of their levels become white;
- CMYK is turned by Pillow's plain formula; colour profiles and EXIF rotation are not applied;
- of an animation, the first frame.

torchmetrics reads no files.
"""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import UserError


@dataclasses.dataclass(frozen=True)
class Broken:
    """A file that should be an image and is none."""

    path: Path
    reason: str


class BrokenPictureError(UserError):
    """One file that cannot be read; the others can."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"expected an image, found {reason}, in {path}; fix: make it again, or remove it")
        self.broken = Broken(path, reason)


def find_pictures(folder: Path) -> list[Path]:
    """Return the image files below ``folder`` as clean-fid finds them (``fid.py``, get_folder_features).

    Recursive, sorted by path, by its list of extensions (lower case, and ``JPG``, ``JPEG``, ``PNG``);
    folders and files whose names begin with a dot are passed over. pytorch-fid looks into the folder itself
    only. Raises UserError if there is no such folder, or no image in it.
    """
    from cleanfid.utils import EXTENSIONS

    if not folder.is_dir():
        raise UserError(f"expected a folder of images, found none, at {folder}; fix: name the folder")
    found = {
        Path(file)
        for extension in EXTENSIONS
        for file in glob.glob(f"{glob.escape(str(folder))}/**/*.{extension}", recursive=True)
    }
    if not found:
        kinds = ", ".join(sorted({extension.lower() for extension in EXTENSIONS}))
        raise UserError(
            f"expected images ({kinds}) in {folder}, found none; fix: name the folder that holds them"
        )
    return sorted(found, key=str)


def read_picture(path: Path) -> Image.Image:
    """Return the image as RGB, read whole. Raises BrokenPictureError, naming the file and what is wrong."""
    try:
        if not path.is_file():
            raise BrokenPictureError(path, "a folder" if path.is_dir() else "no file")
        if path.stat().st_size == 0:
            raise BrokenPictureError(path, "no bytes")
        if path.suffix == ".npy":
            return _from_array(path)
        with Image.open(path) as image:
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise BrokenPictureError(path, "a file of no known format") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # Pillow's decoders say that a file is damaged by any of these.
        raise BrokenPictureError(path, f"damage ({str(error) or type(error).__name__})") from error


def pixel_key(image: Image.Image) -> str:
    """Return the sha256 of an image's size, mode and pixels: what an extractor sees of a file."""
    width, height = image.size
    return sha256_bytes(f"{image.mode} {width} {height}\0".encode() + image.tobytes())


def told(broken: Sequence[Broken], most: int = 3) -> str:
    """Say how many are broken, and name the first ``most`` of them.

    >>> told([Broken(Path("a.png"), "no bytes"), Broken(Path("b.png"), "no bytes")], most=1)
    '2 broken: a.png (no bytes), and 1 more'
    """
    named = ", ".join(f"{one.path} ({one.reason})" for one in broken[:most])
    more = f", and {len(broken) - most} more" if len(broken) > most else ""
    return f"{len(broken)} broken: {named}{more}"


def _from_array(path: Path) -> Image.Image:
    """Return what clean-fid would take from a saved array; it takes other kinds of numbers too."""
    pixels = np.load(path, allow_pickle=False)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise BrokenPictureError(path, f"an array of {pixels.dtype} {pixels.shape}, not of uint8 (H, W, 3)")
    return Image.fromarray(pixels)
