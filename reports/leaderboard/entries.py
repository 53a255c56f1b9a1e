"""What stands on a leaderboard: receipts, made from run folders or sent by others, each unaltered."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.receipts.making import NAME, write_receipt
from lumina_eval.receipts.record import Receipt, digest_of_fields, read_receipt
from lumina_eval.run_lists import sift
from reports.loading import RunView

#: Where receipts lie within a site.
RECEIPTS: Final = "receipts"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run: its receipt, and the files of it in the site, relative to the site's root."""

    receipt: Receipt
    files: tuple[str, ...]

    @property
    def run_id(self) -> str:
        """Name of the run, of its page and of its receipt."""
        return self.receipt.manifest.run_id

    @property
    def view(self) -> RunView:
        """The run as reports see one; there is no folder behind it."""
        return RunView(Path(self.run_id), self.receipt.manifest, self.receipt.result)


def gather(places: Sequence[Path], site: Path) -> tuple[list[Entry], list[str]]:
    """Bring a receipt of every run into ``site/receipts``; return them by run id, and what was passed over.

    A place is a run folder, a folder that holds ``runs/``, or a receipt. Raises UserError for anything else,
    for a receipt that was altered, and for two records of one run that differ.
    """
    sources: list[Path] = []
    passed_over: list[str] = []
    for place in places:
        whole, broken = ([place], []) if place.is_file() else sift([place])
        sources += whole
        passed_over += broken
    folder = make_folder(site / RECEIPTS)
    found: dict[str, tuple[Path, Entry]] = {}
    for source in sources:
        file = _copied(source, folder) if source.is_file() else write_receipt(source, folder)
        entry = _entry(file, source)
        before = found.setdefault(entry.run_id, (source, entry))
        if before[1].receipt.digest != entry.receipt.digest:
            raise UserError(
                f"expected one record of run {entry.run_id}, found two that differ, {before[0]} and "
                f"{source}; fix: leave one out"
            )
    return [entry for _, (_, entry) in sorted(found.items())], passed_over


def standing(site: Path) -> list[Path]:
    """Return the receipts that are in a site already."""
    return sorted((site / RECEIPTS).glob(f"*.{NAME}"))


def _copied(source: Path, folder: Path) -> Path:
    """Copy a receipt and the files beside it under the run's name."""
    receipt, _ = read_receipt(source)
    run_id = _safe(receipt.manifest.run_id, source)
    place = folder / f"{run_id}.{NAME}"
    if place.resolve() == source.resolve():
        return place
    for file in _beside(receipt):
        if not (source.parent / file).is_file():
            raise UserError(f"expected {file} beside {source}, found none; fix: get both files")
        shutil.copyfile(source.parent / file, folder / file)
    shutil.copyfile(source, place)
    return place


def _entry(file: Path, source: Path) -> Entry:
    receipt, value = read_receipt(file)
    if digest_of_fields(value) != receipt.digest:
        raise UserError(
            f"expected an unaltered receipt, found one whose digest does not fit, {source}; "
            f"fix: lumina-eval receipt check {source}"
        )
    _safe(receipt.manifest.run_id, source)
    return Entry(receipt, tuple(f"{RECEIPTS}/{name}" for name in (file.name, *_beside(receipt))))


def _beside(receipt: Receipt) -> list[str]:
    parts = (receipt.items, receipt.plan, receipt.verdicts, receipt.rewritten)
    return [Path(part.file).name for part in parts if part is not None and part.file is not None]


def _safe(run_id: str, source: Path) -> str:
    """Return a run id that is a file name and nothing more: it came from a file that anybody wrote."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}", run_id):
        raise UserError(
            f"expected a run id of letters, digits, dots and dashes, found {run_id!r}, in {source}"
        )
    return run_id
