"""From run folders to anonymous match-ups on disk, and to the manifest that undoes the anonymity."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.arena.blinding import CHUNK, bare_png, blind_name, canvas, on_canvas, padded
from benchmarks.arena.layouts import IMAGES, LAYOUTS, Shown
from benchmarks.arena.manifest import (
    ArenaManifest,
    BlindImage,
    BlindMatchUp,
    Contender,
    manifest_path,
    new_secret,
    write_manifest,
)
from benchmarks.arena.matchups import Entrant, MatchUp, Place, match_ups, sample, shared_places
from lumina_eval.errors import UserError, unknown
from lumina_eval.files import make_folder, said_clearly
from lumina_eval.store import ImageStore


@dataclass(frozen=True)
class Exported:
    """What was written, and what could not be."""

    match_ups: int
    images: int
    size: tuple[int, int]
    """Width and height of every image."""
    resized: int
    """Images that had another size."""
    missing: tuple[tuple[str, Place], ...]
    """Model and place of each image that its store does not have whole; that place is left out for all."""
    warning: str
    manifest: Path


def export_arena(
    runs: Sequence[Entrant],
    out: Path,
    layout: str,
    *,
    seed: int = 0,
    limit: int | None = None,
    side: int | None = None,
    manifest: Path | None = None,
) -> Exported:
    """Write every pair of ``runs`` on every shared place into ``out``, which must be new or empty.

    ``limit`` is prompts of each category, ``side`` the longest side of an image in pixels. The folder is made
    beside ``out`` and put in place at the end, after the manifest.

    Raises UserError if the runs share no prompt or no image, for an unknown layout, and where files are.
    """
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    path = manifest or manifest_path(out)
    _nothing_there(out, path)
    places, warning = shared_places(runs)
    categories = runs[0].categories
    places = sample(places, categories, limit, seed)
    missing = tuple((run.name, place) for place in places for run in runs if _path(run, place) is None)
    absent = {place for _, place in missing}
    places = [place for place in places if place not in absent]
    if not places:
        raise UserError(
            f"expected images of all models, found a missing one at each place ({len(missing)} in all), "
            f"in {', '.join(str(run.store) for run in runs)}; fix: --store DIR, or run lumina-eval run again"
        )
    secret = new_secret()
    pairs = match_ups([run.name for run in runs], places, categories, seed)
    make_folder(out.absolute().parent)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.absolute().parent) as scratch:
        folder = Path(scratch) / "made"
        size, resized = _write_images(runs, places, secret, folder / IMAGES, side)
        LAYOUTS[layout](folder, sorted(_shown(pairs, secret), key=lambda one: one.id))
        write_manifest(path, _manifest(runs, places, pairs, secret, layout, seed))
        with said_clearly(out):
            os.chmod(folder, 0o755)
            with contextlib.suppress(FileNotFoundError):
                out.rmdir()
            folder.rename(out)
    return Exported(len(pairs), len(places) * len(runs), size, resized, missing, warning, path)


def image_name(secret: str, model: str, place: Place) -> str:
    """Return the blind name of a model's image at a place."""
    return blind_name(secret, "image", model, *place)


def match_up_name(secret: str, pair: MatchUp) -> str:
    """Return the blind name of a match-up, whichever side its models are on."""
    return blind_name(secret, "match-up", *sorted((pair.left, pair.right)), *pair.place)


def _write_images(
    runs: Sequence[Entrant], places: Sequence[Place], secret: str, folder: Path, side: int | None
) -> tuple[tuple[int, int], int]:
    """Write all images alike, in the order of their names: times tell nothing. Return size and resized."""
    sources = {image_name(secret, run.name, place): (run, place) for run in runs for place in places}
    sizes = {name: _size(run, place) for name, (run, place) in sources.items()}
    size = canvas(sizes.values(), side)
    with said_clearly(folder):
        folder.mkdir(parents=True)
        longest = 0
        for name in sorted(sources):
            run, place = sources[name]
            stored = ImageStore(run.store).read(run.keys[place])
            if stored is None:
                raise UserError(
                    f"expected image {run.keys[place]} of {run.name}, found none any more, in {run.store}; "
                    "fix: lumina-eval run again, then export anew"
                )
            longest = max(
                longest, (folder / f"{name}.png").write_bytes(bare_png(on_canvas(stored.image, size)))
            )
        for name in sorted(sources):
            file = folder / f"{name}.png"
            file.write_bytes(padded(file.read_bytes(), longest + CHUNK))
    return size, sum(one != size for one in sizes.values())


def _shown(pairs: Sequence[MatchUp], secret: str) -> list[Shown]:
    return [
        Shown(
            id=match_up_name(secret, pair),
            prompt=pair.place.prompt,
            category=pair.category,
            left=image_name(secret, pair.left, pair.place),
            right=image_name(secret, pair.right, pair.place),
        )
        for pair in pairs
    ]


def _manifest(
    runs: Sequence[Entrant],
    places: Sequence[Place],
    pairs: Sequence[MatchUp],
    secret: str,
    layout: str,
    seed: int,
) -> ArenaManifest:
    return ArenaManifest(
        secret=secret,
        layout=layout,
        seed=seed,
        contenders=[Contender(name=run.name, run_id=run.run_id, digest=run.digest) for run in runs],
        images={
            image_name(secret, run.name, place): BlindImage(
                model=run.name, prompt=place.prompt, index=place.image
            )
            for run in runs
            for place in places
        },
        matchups={
            match_up_name(secret, pair): BlindMatchUp(left=pair.left, right=pair.right) for pair in pairs
        },
    )


def _path(run: Entrant, place: Place) -> Path | None:
    store = ImageStore(run.store)
    return None if store.sha256(run.keys[place]) is None else store.path(run.keys[place])


def _size(run: Entrant, place: Place) -> tuple[int, int]:
    with Image.open(ImageStore(run.store).path(run.keys[place])) as image:
        return image.size


def _nothing_there(out: Path, manifest: Path) -> None:
    """Refuse to write where something is: the manifest of votes already cast must not be lost."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"expected a new or empty folder, found files, at {out}; fix: choose another --out")
    if manifest.exists():
        raise UserError(
            f"expected no manifest yet, found one, at {manifest}; fix: choose another --out or --manifest, "
            "or remove it if its export is of no more use"
        )
