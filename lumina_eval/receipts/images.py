"""The images themselves held against the verdicts: each by the sha256 of its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lumina_eval.errors import UserError
from lumina_eval.external.images import image_reader
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.receipts.findings import Finding
from lumina_eval.records import ImageRef, Verdict
from lumina_eval.store import ImageStore

DigestOf = Callable[[tuple[str, int]], str | None]
"""From (item id, index) to the sha256 of the image that is there; None if there is none."""


def image_findings(
    benchmark: Benchmark,
    protocol: ResolvedProtocol,
    plan: Sequence[ImageRef] | None,
    verdicts: Sequence[Verdict] | None,
    folder: Path,
) -> Iterator[Finding]:
    """Yield what is to be said of images in a store, or of a folder in the benchmark's official layout."""
    if not folder.is_dir():
        yield Finding("image files", "UNCHECKED", f"no folder {folder}")
        return
    if verdicts is None or plan is None:
        yield Finding("image files", "UNCHECKED", "plan and verdicts are not both at hand")
        return
    try:
        digest_of = _stored(folder, plan) if plan else _laid_out(benchmark, protocol, folder)
    except UserError as error:
        yield Finding("image files", "UNCHECKED", str(error))
        return
    absent, other, same = [], [], 0
    for verdict in verdicts:
        found = digest_of((verdict.item_id, verdict.index))
        if found is None:
            absent.append(verdict)
        elif found != verdict.image_sha256:
            other.append(verdict)
        else:
            same += 1
    if other:
        yield Finding(
            "image files", "FAIL", f"{len(other)} are not those that were judged, first {_name(other[0])}"
        )
    if absent:
        many = f"{len(absent)} of {len(verdicts)}"
        yield Finding("image files", "UNCHECKED", f"{many} are not in {folder}, first {_name(absent[0])}")
    if same:
        yield Finding("image files", "PASS", f"{same} are those that were judged, by the sha256 of each")


def _stored(folder: Path, plan: Sequence[ImageRef]) -> DigestOf:
    store, keys = ImageStore(folder), {(ref.item_id, ref.index): ref.key for ref in plan}

    def digest(place: tuple[str, int]) -> str | None:
        return store.sha256(keys[place]) if place in keys else None

    return digest


def _laid_out(benchmark: Benchmark, protocol: ResolvedProtocol, folder: Path) -> DigestOf:
    read = getattr(benchmark, "read_images", None)
    if read is None:
        raise UserError(f"benchmark {benchmark.name} reads no folder of images")
    places = {(item.id, index): (path, *box) for item, index, path, *box in read(folder, protocol)}

    def digest(place: tuple[str, int]) -> str | None:
        found = image_reader(*places[place])() if place in places else None
        return None if found is None else found.sha256

    return digest


def _name(verdict: Verdict) -> str:
    return f"image {verdict.index} of prompt {verdict.item_id}"
