"""Progress for people: a bar on a terminal, a plain line now and then elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

#: Least time between two plain lines, in seconds.
LINE_EVERY: Final = 10.0

Advance = Callable[[int], None]
"""Called with how many images were done since the last call; bytes are counted from the start."""


@contextmanager
def progress(console: Console, label: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show ``label`` with a bar over ``total`` images, of which ``done`` were there before."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=total, completed=done)
            yield lambda count: bar.advance(task, count)
        return
    state = {"done": done, "told": time.monotonic()}
    told: list[int] = []

    def tell() -> None:
        state["told"] = time.monotonic()
        told.append(int(state["done"]))
        _line(console, f"{label}: {told[-1]} of {total}")

    def advance(count: int) -> None:
        state["done"] += count
        if time.monotonic() - state["told"] >= LINE_EVERY:
            tell()

    try:
        yield advance
    finally:
        if told and told[-1] != state["done"]:  # whoever saw it begin wants to see where it ended
            tell()


@contextmanager
def byte_progress(console: Console, label: str, total: int | None) -> Iterator[Advance]:
    """Show how much of a file is there: called with the bytes so far, not with those that are new."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.update(task, completed=count)
        return
    _line(console, label)
    state = {"told": time.monotonic()}

    def advance(count: int) -> None:
        if time.monotonic() - state["told"] >= LINE_EVERY:
            state["told"] = time.monotonic()
            of = "" if total is None else f" of {decimal(total)}"
            _line(console, f"{label}: {decimal(count)}{of}")

    yield advance


def _line(console: Console, text: str) -> None:
    """Print a line as it is, whatever the console makes of brackets and colons."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)
