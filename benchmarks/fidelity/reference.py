"""What generated images are held against: pictures, or statistics, of what is real.

Two sources. ``tabletop`` draws pictures that fulfil the very prompts that were asked, from seeds of its own,
so that the distance of truth from truth is that of two draws. ``given`` is what the user names: a folder of
images, a dataset (``datasets:FILE.parquet``, ``datasets:OWNER/NAME@REVISION``), an ``.npz`` of features
(``FILE.npz:KEY``) or of statistics (``mu``, ``sigma``).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.fidelity.features.dataset_images import SCHEME, images_of, place_of
from benchmarks.fidelity.features.extraction import extract
from benchmarks.fidelity.features.extractor import Extractor
from benchmarks.fidelity.features.pictures import find_pictures, pixel_key, read_picture, told
from benchmarks.fidelity.features.store import FeatureStore
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.statistics_file import array_names, read_features, read_statistics
from lumina_eval.console import plain
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.progress import progress
from lumina_eval.seeds import image_seed

#: Truth is drawn this many pictures at a time.
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Reference:
    """One side of every distance."""

    name: str
    """For people: what it is and how many images it has."""
    moments: Moments
    rows: NDArray[np.floating] | None
    """(M, d); None where only statistics are known."""
    extractor: str | None
    """Digest of what computed it; None in a file of another tool."""
    digest: str
    """Of the pictures' pixels, wherever they lie; of the file where features or statistics are given."""
    stems: tuple[str, ...] = ()
    """File name of each row without its ending, where it comes from a folder."""
    prompts: tuple[str, ...] = ()
    """Prompt of each row, where it was drawn for the prompts that were asked, as the images were."""

    @property
    def in_words(self) -> str:
        """What and how many, and which: for tables."""
        return f"{self.name} (digest {self.digest[:12]})"

    def only(self, stems: Collection[str]) -> Reference:
        """Return the rows of some file names; UserError where none are known, or under 2 are left."""
        chosen = [place for place, stem in enumerate(self.stems) if stem in stems]
        if self.rows is None or not self.stems:
            raise UserError(
                f"expected a folder of images named by the prompts' ids as reference, found {self.name}; "
                "fix: --reference DIR"
            )
        rows = self.rows[chosen]
        digest = digest_of([self.digest, sorted(stems)])
        return Reference(f"{len(rows)} of {self.name}", Moments.of(rows), rows, self.extractor, digest)


def drawn(prompts: tuple[str, ...], count: int, base_seed: int, side: int, extractor: Extractor) -> Reference:
    """Draw ``count`` pictures of ``side`` pixels that fulfil each prompt of the embedded world.

    Raises UserError for a prompt of none of its protocols.
    """
    # Extractors are objects with an identity, which is all that remembering needs.
    asked = tuple(sorted(set(prompts)))
    rows, digest = _drawn_rows(asked, count, base_seed, side, extractor)  # type: ignore[arg-type]
    what = f"{len(rows)} pictures of the same prompts, drawn with other seeds at {side} pixels"
    of_rows = tuple(prompt for prompt in asked for _ in range(count))
    return Reference(what, Moments.of(rows), rows, extractor.digest, digest, prompts=of_rows)


@functools.lru_cache(maxsize=4)
def _drawn_rows(
    prompts: tuple[str, ...], count: int, base_seed: int, side: int, extractor: Extractor
) -> tuple[NDArray[np.float32], str]:
    """Return the features, prompt by prompt, and the digest; the same for every checkpoint of a run."""
    from benchmarks.tabletop.trial.models import TruthModel

    truth = TruthModel(side)
    wanted = [(prompt, image_seed(base_seed, prompt, index)) for prompt in prompts for index in range(count)]
    parts: list[NDArray[np.float32]] = []
    keys: list[str] = []
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        pictures = truth.generate([prompt for prompt, _ in batch], [seed for _, seed in batch])
        keys += map(pixel_key, pictures)
        parts.append(extractor.images(pictures))
    return np.concatenate(parts), digest_of(sorted(keys))


def check_given(address: str) -> None:
    """Raise UserError if there is nothing at an address that :func:`given` could read."""
    path = Path(address)
    if address.startswith(SCHEME):
        place_of(address)
        return
    if path.is_dir():
        find_pictures(path)
        return
    if not _file_of(address).is_file():
        raise UserError(
            f"expected a folder of images, an .npz file or {SCHEME}… as reference, found none at {address}; "
            "fix: name one that is there with --reference, or features with --reference-features FILE.npz"
        )
    array_names(_file_of(address))


def listing_digest(address: str) -> str:
    """Return a digest of an address: of a file's content, of names and contents of a folder's images."""
    path = Path(address)
    if address.startswith(SCHEME):
        return place_of(address).digest
    if path.is_dir():
        return digest_of(
            [[file.relative_to(path).as_posix(), sha256_file(file)] for file in find_pictures(path)]
        )
    return digest_of([sha256_file(_file_of(address)), address.rpartition(":")[2] if ":" in address else ""])


def of_images(address: str) -> bool:
    """Whether there are images at an address, that an extractor has to look at, and not their features."""
    return address.startswith(SCHEME) or Path(address).is_dir()


def given(address: str, extractor: Extractor | None, features: Path | None) -> Reference:
    """Read what the user named.

    Args:
        address: folder, dataset, ``FILE.npz`` or ``FILE.npz:KEY``.
        extractor: for images; None if only files of features are allowed.
        features: where the rows of a folder are kept between runs.

    Raises:
        UserError: nothing that can be read is there, a file of the folder is broken, or there are fewer than
            two images.
    """
    check_given(address)
    if of_images(address):
        if extractor is None:
            raise UserError(
                f"expected features as reference, since features are given, found images, {address}; "
                "fix: --reference-features FILE.npz"
            )
        if address.startswith(SCHEME):
            return _of_dataset(address, extractor)
        return _of_folder(Path(address), extractor, features)
    file = _file_of(address)
    digest = sha256_file(file)
    if str(file) == address and {"mu", "sigma"} <= {*array_names(file)}:
        found = read_statistics(file)
        many = "an unknown number of" if found.moments.n is None else str(found.moments.n)
        name = f"statistics of {many} images, {file.name}"
        return Reference(name, found.moments, None, found.extractor, digest)
    rows = read_features(address)
    name = f"features of {len(rows)} images, {Path(address).name}"
    return Reference(name, Moments.of(rows), rows, None, digest)


def _of_dataset(address: str, extractor: Extractor) -> Reference:
    images = track(images_of(place_of(address)), "reference", console=plain(stderr=True), transient=True)
    parts: list[NDArray[np.float32]] = []
    keys: list[str] = []
    while batch := list(itertools.islice(images, _BATCH)):
        keys += map(pixel_key, batch)
        parts.append(extractor.images(batch))
    if not parts:
        raise UserError(f"expected images in {address}, found none; fix: name another split")
    rows = np.concatenate(parts)
    name = f"{len(rows)} images of {address.removeprefix(SCHEME)}"
    return Reference(name, Moments.of(rows), rows, extractor.digest, digest_of(sorted(keys)))


def _of_folder(folder: Path, extractor: Extractor, features: Path | None) -> Reference:
    paths = find_pictures(folder)
    if features is None:
        rows, keys = _read_directly(paths, extractor)
    else:
        store = FeatureStore(features, extractor.digest, extractor.width)
        with progress(plain(stderr=True), "reference", len(paths)) as advance:
            found = extract(paths, extractor, store, advance=advance)
        if found.broken:
            raise UserError(
                f"expected whole images in {folder}, found {told(found.broken)}; fix: remove them"
            )
        rows, keys = np.asarray(store.rows(found.keys)), list(found.keys)
    name = f"{len(rows)} images of {folder.resolve().name}"
    stems = tuple(path.stem for path in paths)
    return Reference(name, Moments.of(rows), rows, extractor.digest, digest_of(sorted(keys)), stems)


def _read_directly(paths: Sequence[Path], extractor: Extractor) -> tuple[NDArray[np.float32], list[str]]:
    """Return rows and pixel keys of the files."""
    parts: list[NDArray[np.float32]] = []
    keys: list[str] = []
    starts = range(0, len(paths), _BATCH)
    for start in track(starts, "reference", console=plain(stderr=True), transient=True):
        pictures = [read_picture(path) for path in paths[start : start + _BATCH]]
        keys += map(pixel_key, pictures)
        parts.append(extractor.images(pictures))
    return np.concatenate(parts), keys


def _file_of(address: str) -> Path:
    """Return the file of ``FILE.npz:KEY``."""
    head, end, _ = address.rpartition(".npz:")
    return Path(head + ".npz") if end else Path(address)
