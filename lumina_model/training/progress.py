"""Progress of a training for people: a bar on a terminal, a plain line now and then elsewhere; on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lumina_model.console import plain

#: Least time between two plain lines, in seconds.
LINE_EVERY: Final = 30.0

Show = Callable[[int, str], None]
"""Called with how many are done, and a word on how it goes (``loss 0.7431``)."""


@contextmanager
def shown(label: str, total: int, done: int, unit: str, *, silent: bool = False) -> Iterator[Show]:
    """Show long work.

    Args:
        label: what is done, or trained.
        total: how many there are in all.
        done: how many were done before.
        unit: of what, such as ``steps``.
        silent: show nothing, as all processes but one should.
    """
    console = plain(stderr=True, quiet=silent)
    if console.is_terminal:
        texts = ("{task.description}", "{task.fields[note]}")
        what, note = (TextColumn(text, markup=False) for text in texts)
        columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note)
        with Progress(*columns, console=console, refresh_per_second=1) as progress:
            bar = progress.add_task(label, total=total, completed=done, note="")
            yield lambda now, note: progress.update(bar, completed=now, note=note)
        return
    console.print(f"{label}: {done} of {total} {unit}")
    state = {"told": time.monotonic()}

    def show(now: int, note: str) -> None:
        if now >= total or time.monotonic() - state["told"] >= LINE_EVERY:
            state["told"] = time.monotonic()
            console.print(", ".join(filter(None, (f"{label}: {now} of {total} {unit}", note))))

    yield show
