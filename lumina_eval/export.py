"""A run's images in the official layout of its benchmark, so that the official scripts can read them."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, said_clearly
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import ImageRef, Item
from lumina_eval.runs import protocol_of, read_items, read_manifest, read_plan, store_of
from lumina_eval.store import ImageStore

Writer = Callable[[Path, ResolvedProtocol, Iterable[tuple[Item, int, Path]]], None]


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written, and what could not be."""

    images: int
    """Images in the folder now."""
    missing: tuple[ImageRef, ...]
    """Planned images that the store does not have whole."""
    rewritten: str | None
    """How the prompts were rewritten, in words: the layout has no place for it."""


def export_run(bench: Benchmark, run_dir: Path, target: Path, store: Path | None = None) -> Exported:
    """Write the images of a run folder into ``target`` as ``write_images`` of the benchmark lays them out.

    The files are made beside the target and put in place at the end. Raises UserError if the run is of
    another benchmark or holds no images of its own, if the benchmark has no layout to write, and if the
    target holds anything that is not byte for byte part of the export.
    """
    manifest = read_manifest(run_dir)
    if manifest.benchmark != bench.name:
        raise UserError(
            f"expected a run of {bench.name}, found one of {manifest.benchmark}, in {run_dir}; "
            f"fix: lumina-eval export {manifest.benchmark} --run {run_dir}"
        )
    write: Writer | None = getattr(bench, "write_images", None)
    if write is None:
        raise UserError(f"benchmark {bench.name} has no official layout of images that could be written")
    plan, images = read_plan(run_dir), ImageStore(store or store_of(run_dir))
    if not plan:
        raise UserError(
            f"expected a run that made images, found one of {manifest.model} from {manifest.checkpoint}, "
            f"in {run_dir}; fix: take those images"
        )
    items = {item.id: item for item in read_items(run_dir)}
    whole = {ref.key for ref in plan if images.sha256(ref.key) is not None}
    missing = tuple(ref for ref in plan if ref.key not in whole)
    there = [(items[ref.item_id], ref.index, images.path(ref.key)) for ref in plan if ref.key in whole]
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        with said_clearly(target):
            write(Path(scratch), protocol_of(manifest), there)
        _put(Path(scratch), target)
    words = manifest.rewriting.in_words if manifest.rewriting else None
    return Exported(len(there), missing, words)


def _put(made: Path, target: Path) -> None:
    """Move the files to where they are not yet; refuse a target with anything else in it."""
    if target.exists() and not target.is_dir():
        raise UserError(f"expected a folder, found a file, at {target}; fix: choose another --out")
    for path in sorted(target.rglob("*")) if target.is_dir() else ():
        ours = made / path.relative_to(target)
        if path.is_dir() and ours.is_dir():
            continue
        if not path.is_file() or not ours.is_file() or sha256_file(path) != sha256_file(ours):
            raise UserError(
                f"expected an empty folder or this very export, found {path}, in {target}; "
                "nothing was changed; fix: choose another --out"
            )
    with said_clearly(target):
        for path in sorted(made.rglob("*")):
            place = target / path.relative_to(made)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, place)
