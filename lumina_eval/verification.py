"""Proof against what others published: rows of expected and found, kept in a ledger.

A benchmark that offers ``verification(evidence) -> Iterable[Check]`` looks at published images, answers or
tables, computes what its own code makes of them, and yields a row for each figure. A row that cannot be had
(nothing fetched, no judge, images missing) is yielded too, without a value: ``not run`` is said, never left
out. Rows are appended to ``OUT/parity.jsonl``, with what they were computed from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from lumina_eval.assets.catalogue import Asset, all_assets, read_lock
from lumina_eval.assets.fetching import GOOD, fetch, is_offline
from lumina_eval.digests import sha256_file
from lumina_eval.errors import ExitCode, UserError, unknown
from lumina_eval.evaluation import Site
from lumina_eval.files import append_lines, make_folder
from lumina_eval.records import Record
from lumina_eval.runs import now

#: The ledger's name in the out folder.
LEDGER: Final = "parity.jsonl"

State = Literal["PASS", "FAIL", "not run"]


class Check(Record):
    """One figure: what was published, and what is found here."""

    name: str
    """What is measured, e.g. ``sdv2 counting``."""
    against: str
    """Where the expected value comes from."""
    expected: float | None
    found: float | None
    """None if it could not be had; ``note`` says why."""
    tolerance: float = Field(ge=0)
    at_least: bool = False
    """True if ``found`` may be as much higher as it likes."""
    n: int = Field(default=0, ge=0)
    """How many images or answers stand behind it."""
    note: str = ""

    @property
    def state(self) -> State:
        """Whether the figure is met."""
        if self.found is None or self.expected is None:
            return "not run"
        below = self.expected - self.found
        # A hair's breadth for sums in another order; far below what any tolerance means.
        met = below <= self.tolerance + 1e-12 and (self.at_least or -below <= self.tolerance + 1e-12)
        return "PASS" if met else "FAIL"


@dataclasses.dataclass
class Evidence:
    """What a verification may look at, and where it works."""

    site: Site
    images: Path | None = None
    """A folder of images instead of the published ones (``--images``)."""
    verdicts: Path | None = None
    """Verdicts saved before, instead of judging (``--verdicts``)."""
    data: Path | None = None
    """A folder with files of assets, instead of fetching them (``--data``)."""
    offline: bool = False
    used: dict[str, str] = dataclasses.field(default_factory=dict)
    """File name to sha256 of everything that was looked at."""
    warnings: list[str] = dataclasses.field(default_factory=list)

    def file(self, asset: str, name: str) -> Path:
        """Return a file of an asset: from ``data`` if it is there, else fetched.

        Raises UserError if it cannot be had. One in ``data`` that is not the pinned file is used, with a
        warning.
        """
        declared = _declared(asset)
        pin = next(file for file in declared.files if file.name == name)
        own = self.data / name if self.data else None
        if own is not None and own.is_file():
            problem = pin.problem(own)
            if problem and (text := f"{own} is not the pinned file: {problem}") not in self.warnings:
                self.warnings.append(text)
            path = own
        else:
            if is_offline(self.offline) and not (declared.folder / name).is_file():
                where = f"{self.data} and {declared.folder}" if self.data else declared.folder
                raise UserError(
                    f"expected {name} of {asset} in {where}, found none, and the network may not be used "
                    f"(--offline or HF_HUB_OFFLINE); fix: lumina-eval data fetch {asset}, with network"
                )
            states = fetch(declared, self.site.console, self.offline)
            failed = next((one for one in states if one.file == name and one.state not in GOOD), None)
            if failed is not None:
                raise UserError(f"{name} of {asset} is {failed.state}: {failed.why}")
            path = declared.folder / name
        self.used[name] = sha256_file(path)
        return path

    def folder(self, asset: str) -> Path:
        """Return the folder of an asset, fetched; UserError if it cannot be had whole."""
        declared = _declared(asset)
        states = fetch(declared, self.site.console, self.offline)
        if bad := [one for one in states if one.state not in GOOD]:
            why = f": {bad[0].why}" if bad[0].why else f"; fix: lumina-eval data fetch {asset}"
            raise UserError(
                f"{len(bad)} of {len(states)} files of {asset} are {bad[0].state}, e.g. {bad[0].file}{why}"
            )
        self.used[asset] = read_lock(declared).revision or "as pinned"
        return declared.folder


def _declared(asset: str) -> Asset:
    known = all_assets()
    if asset not in known:
        raise unknown("asset", asset, known)
    return known[asset]


def keep(benchmark: str, checks: Sequence[Check], evidence: Evidence, argv: Sequence[str]) -> Path:
    """Append the rows to the ledger, with what they were computed from; return the ledger."""
    make_folder(evidence.site.out)
    path = evidence.site.out / LEDGER
    common: dict[str, Any] = {
        "benchmark": benchmark,
        "time": now(),
        "version": version("lumina-eval"),
        "argv": list(argv),
        "images": None if evidence.images is None else str(evidence.images),
        "verdicts": None if evidence.verdicts is None else str(evidence.verdicts),
        "evidence": evidence.used,
    }
    append_lines(path, [_LedgerRow(check=one, state=one.state, **common).model_dump_json() for one in checks])
    return path


def verdict_of(checks: Iterable[Check]) -> ExitCode:
    """Return how it ended: a figure that is not met first, then one that could not be had."""
    states = {one.state for one in checks}
    if "FAIL" in states:
        return ExitCode.GATE_FAILED
    return ExitCode.INCOMPLETE if "not run" in states or not states else ExitCode.OK


class _LedgerRow(Record):
    """A line of the ledger."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    benchmark: str
    state: State
    check: Check
    time: str
    version: str
    argv: list[str]
    images: str | None
    verdicts: str | None
    evidence: dict[str, str]
