"""Finding the checkpoints of a training run as they are written.

A checkpoint is a folder with ``checkpoint.json`` and ``transformer/``. The trainer writes ``checkpoint.json``
last, so a folder that has it is whole.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on disk."""

    folder: Path
    step: int
    written: int
    """When ``checkpoint.json`` was written, in nanoseconds; one that is written anew is a new checkpoint."""


def checkpoints(folder: Path, tell: Callable[[str], None] = lambda message: None) -> list[Checkpoint]:
    """Return the whole checkpoints below ``folder``, in the order in which they were written.

    ``tell`` hears of each ``checkpoint.json`` that cannot be read.
    """
    found = []
    for file in folder.rglob("checkpoint.json"):
        if not (file.parent / "transformer").is_dir():
            continue
        try:
            record, written = json.loads(file.read_bytes()), file.stat().st_mtime_ns
            found.append(Checkpoint(file.parent, int(record["step"]), written))
        except (OSError, ValueError, KeyError, TypeError) as error:
            tell(f"expected a JSON object with a whole number `step`, found {error!r}, in {file}")
    return sorted(found, key=lambda one: (one.written, one.step, str(one.folder)))


def new_checkpoints(
    folder: Path,
    once: bool,
    poll: float,
    idle_timeout: float | None,
    tell: Callable[[str], None] = lambda message: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Checkpoint]:
    """Yield each checkpoint once, as it appears.

    Ends after one look with ``once``, else when nothing new came for ``idle_timeout`` seconds (None: never).
    ``poll`` is the time between two looks, in seconds. ``tell`` hears once of each record that cannot be read
    in the last look, or in two looks one after the other: in one it may just be being written.
    """
    seen: set[Checkpoint] = set()
    told: set[str] = set()
    doubtful: set[str] = set()
    last = clock()
    while True:
        unread: list[str] = []
        fresh = [one for one in checkpoints(folder, unread.append) if one not in seen]
        for message in unread:
            if message not in told and (once or message in doubtful):
                told.add(message)
                tell(message)
        doubtful = set(unread)
        for one in fresh:
            seen.add(one)
            yield one
        if once:
            return
        if fresh:
            last = clock()
        elif idle_timeout is not None and clock() - last >= idle_timeout:
            return
        sleep(poll)
