"""What stands on a leaderboard: receipts, made from run folders or sent by others, each checked first."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.receipts.checking import check_receipt
from lumina_eval.receipts.findings import Finding
from lumina_eval.receipts.making import INSTEAD, NAME, WANTED, write_receipt
from lumina_eval.receipts.record import Packed, Receipt, read_receipt
from lumina_eval.rerun import command_in_place
from lumina_eval.run_lists import sift, without_times
from lumina_eval.runs import read_manifest
from reports.loading import RunView

#: Where receipts lie within a site.
RECEIPTS: Final = "receipts"
#: Largest relative difference that is only rounding, as of ``receipt check``.
TOLERANCE: Final = 1e-12


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run: its receipt, and the files of it in the site, relative to the site's root."""

    receipt: Receipt
    files: tuple[str, ...]
    open: tuple[str, ...] = ()
    """What the check of the receipt could not look at; where this is not empty, numbers are not derived."""
    notes: tuple[str, ...] = ()
    """What is true of the receipt and good to know."""
    moved: tuple[str, ...] = ()
    """Metrics whose intervals did not come out again, since other code made them."""

    @property
    def run_id(self) -> str:
        """Name of the run, of its page and of its receipt."""
        return self.receipt.manifest.run_id

    @property
    def view(self) -> RunView:
        """The run as reports see one; there is no folder behind it."""
        return RunView(Path(self.run_id), self.receipt.manifest, self.receipt.result)


def gather(places: Sequence[Path], site: Path) -> tuple[list[Entry], list[str], list[str]]:
    """Bring a receipt of every run into ``site/receipts``; return them by run id, and what was passed over:
    broken runs, and measurements of time, which no board is for.

    A place is a run folder, a folder that holds ``runs/``, or a receipt. All are read and checked before a
    file of the site is touched. Raises UserError for anything else, for a receipt in which something is
    wrong, and for two records of one run that differ.
    """
    sources: list[Path] = []
    passed_over: list[str] = []
    measurements: list[str] = []
    for place in places:
        if place.is_file():
            sources.append(place)
            continue
        whole, broken = sift([place])
        judged, times = without_times(whole, places, WANTED, INSTEAD)
        sources += judged
        passed_over += broken
        measurements += times
    found: dict[str, tuple[Path, Path, Entry]] = {}
    with tempfile.TemporaryDirectory() as aside:
        for number, source in enumerate(sources):
            file = source if source.is_file() else write_receipt(source, Path(aside) / str(number))
            entry = _entry(file, source)
            first, _, before = found.setdefault(entry.run_id, (source, file, entry))
            if before.receipt.digest != entry.receipt.digest:
                stands = first.parent == site / RECEIPTS  # it was not named, so it cannot be left out
                again = f"rm {shlex.quote(str(first))} and the same command again"
                fix = f"leave {source} out, or {again}" if stands else "leave one out"
                raise UserError(
                    f"expected one record of run {entry.run_id}, found two that differ, {first} and "
                    f"{source}; fix: {fix}"
                )
        make_folder(site / RECEIPTS)
        for _, file, entry in found.values():
            _copy(file, site / entry.files[0])
            for name in entry.files[1:]:
                _copy(file.parent / Path(name).name, site / name)
    return [entry for _, (_, _, entry) in sorted(found.items())], passed_over, measurements


def standing(site: Path) -> list[Path]:
    """Return the receipts that are in a site already."""
    return sorted((site / RECEIPTS).glob(f"*.{NAME}"))


def _copy(source: Path, place: Path) -> None:
    if place.resolve() != source.resolve():
        shutil.copyfile(source, place)


def _entry(file: Path, source: Path) -> Entry:
    """Read and check a receipt; nothing is written."""
    receipt, value = read_receipt(file)
    run_id = _safe(receipt.manifest.run_id, source)
    beside = _beside(receipt, run_id, source)
    for name in beside:
        if not (file.parent / name).is_file():
            raise UserError(f"expected {name} beside {source}, found none; fix: get both files")
    findings = check_receipt(receipt, value, file.parent, TOLERANCE)
    wrong = next((finding for finding in findings if finding.state == "FAIL"), None)
    if wrong is not None:
        raise UserError(
            f"expected a receipt that is right, found one that is not ({wrong.what}: {wrong.said}), "
            f"{source}; fix: {_mended(receipt, source)}"
        )
    files = (f"{RECEIPTS}/{run_id}.{NAME}", *(f"{RECEIPTS}/{name}" for name in beside))
    names = {metric.name for metric in receipt.result.metrics}
    moved = tuple(one.what for one in findings if one.state == "NOTE" and one.what in names)
    # which code checks is left out: the same runs give the same pages everywhere
    rest = [finding for finding in findings if finding.what not in ("code", *moved)]
    notes = _said(rest, "NOTE")
    if moved:
        notes += (f"the intervals of {', '.join(moved)} are by other code, and did not come out again",)
    return Entry(receipt, files, _said(rest, "UNCHECKED", "ABSENT"), notes, moved)


def _mended(receipt: Receipt, source: Path) -> str:
    """Say how a receipt that is wrong becomes one that is right: from the run, never from the receipt."""
    if source.is_file():
        return (
            f"leave it out, or have the run made again ({receipt.command}) and a receipt of that "
            f"(lumina-eval receipt make RUN); all that is wrong is told by lumina-eval receipt check {source}"
        )
    again = command_in_place(read_manifest(source), source)
    if again is None:
        return f"make the run again ({receipt.command}), or leave it out"
    return f"{again} (it adds up its verdicts anew, and goes on from what is whole), or leave the run out"


def _said(findings: Sequence[Finding], *states: str) -> tuple[str, ...]:
    """Return findings in words."""
    return tuple(f"{one.what}: {one.said}" for one in findings if one.state in states)


def _beside(receipt: Receipt, run_id: str, source: Path) -> list[str]:
    """Return the files beside a receipt; their names are those of ``receipt make --out``."""
    parts: dict[str, Packed | None] = {
        "items": receipt.items,
        "plan": receipt.plan,
        "verdicts": receipt.verdicts,
        "rewritten": receipt.rewritten,
    }
    found = []
    for name, part in parts.items():
        if part is None or part.data is not None:
            continue
        if part.file != f"{run_id}.{name}.jsonl":
            raise UserError(
                f"expected {run_id}.{name}.jsonl as the file of {name} beside a receipt, found "
                f"{part.file!r}, in {source}; fix: lumina-eval receipt make RUN --out DIR, and give DIR's"
            )
        found.append(part.file)
    return found


def _safe(run_id: str, source: Path) -> str:
    """Return a run id that is a file name and nothing more: it came from a file that anybody wrote."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}", run_id):
        raise UserError(
            f"expected a run id of letters, digits, dots and dashes, found {run_id!r}, in {source}"
        )
    return run_id
