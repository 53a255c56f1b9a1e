"""Bringing assets here, and checking those that are: what is right is left alone, what is wrong is told."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Final, Literal

import httpx
from rich.console import Console

from lumina_eval.assets.catalogue import Asset, Lock, absent, files_of, read_lock
from lumina_eval.assets.download import DownloadError, download, make_client
from lumina_eval.assets.pins import LOCK, File, Pin
from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, sole_writer, write_atomic
from lumina_eval.progress import byte_progress

State = Literal["fetched", "already right", "right", "unpinned", "wrong", "missing", "failed"]
#: States of a file that one may build on.
GOOD: Final = ("fetched", "already right", "right")


@dataclasses.dataclass(frozen=True)
class FileState:
    """How it stands with one file of an asset."""

    asset: str
    file: str
    state: State
    why: str = ""
    trusted: bool = False
    """True if nothing pinned it, and it was trusted as it came."""


def is_offline(asked: bool = False) -> bool:
    """Tell whether no network may be used: by ``--offline``, or ``HF_HUB_OFFLINE`` in the environment."""
    return asked or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def fetch(asset: Asset, console: Console, offline: bool = False) -> list[FileState]:
    """Bring what is missing or wrong, and check everything; one state for each file.

    A file that cannot be had is ``failed``, and the others are fetched all the same. Raises UserError if
    something is missing while offline, and for a disk that is full or may not be written.
    """
    if is_offline(offline):
        if missing := absent(asset):
            raise UserError(
                f"expected {missing[0]} of {asset.name} in {asset.folder}, found none, and the network may "
                "not be used (--offline or HF_HUB_OFFLINE); "
                f"fix: lumina-eval data fetch {asset.name}, with network"
            )
        return [dataclasses.replace(one, state=_kept(one.state)) for one in check(asset)]
    make_folder(asset.folder)
    with sole_writer(asset.folder):
        if asset.hub is not None:
            from lumina_eval.assets.hub_snapshot import fetch_snapshot

            try:
                return fetch_snapshot(asset, console)
            except DownloadError as error:
                return [FileState(asset.name, asset.hub.repository, "failed", str(error))]
        with make_client() as client:
            return [_fetch_file(asset, file, client, console) for file in asset.files]


def check(asset: Asset) -> Iterator[FileState]:
    """Read every file of an asset whole, and say how each stands. No network is used.

    Where what the first fetch wrote down is damaged, that file is wrong, and nothing else is known.
    """
    try:
        lock = read_lock(asset)
    except UserError as error:
        yield FileState(asset.name, LOCK, "wrong", str(error))
        return
    if not files_of(asset):
        yield FileState(asset.name, absent(asset)[0], "missing")
    for file in files_of(asset):
        yield check_file(asset, file, lock.pin(file))


def check_file(asset: Asset, file: File, pin: Pin) -> FileState:
    """Compare one file with what is known of it."""
    path = asset.folder / file.name
    if not path.is_file():
        return FileState(asset.name, file.name, "missing")
    try:
        problem = pin.problem(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; fix: mend its permissions") from error
    if problem is not None:
        return FileState(asset.name, file.name, "wrong", problem)
    if not pin.holds_content:
        return FileState(asset.name, file.name, "unpinned", "nothing is known to compare it with")
    return FileState(asset.name, file.name, "right", trusted=not file.holds_content)


def write_lock(asset: Asset, lock: Lock) -> None:
    """Write down what came, whole or not at all."""
    write_atomic(asset.folder / LOCK, f"{lock.model_dump_json(indent=1)}\n".encode())


def label_of(asset: Asset, file: str) -> str:
    """Return what stands before a progress bar."""
    return f"fetch {asset.name}/{file}"


def _fetch_file(asset: Asset, file: File, client: httpx.Client, console: Console) -> FileState:
    lock = read_lock(asset)
    before = check_file(asset, file, lock.pin(file))
    if before.state == "right":
        return dataclasses.replace(before, state="already right")
    target = asset.folder / file.name
    try:
        with byte_progress(console, label_of(asset, file.name), file.size) as advance:
            download(asset.address(file), target, lock.pin(file), client, advance)
    except DownloadError as error:
        return FileState(asset.name, file.name, "failed", str(error))
    if file.holds_content:
        return FileState(asset.name, file.name, "fetched")
    came = Pin(size=target.stat().st_size, sha256=sha256_file(target))
    write_lock(asset, lock.model_copy(update={"files": {**lock.files, file.name: came}}))
    return FileState(asset.name, file.name, "fetched", f"sha256 {came.sha256}", trusted=True)


def _kept(state: State) -> State:
    return "already right" if state == "right" else state
