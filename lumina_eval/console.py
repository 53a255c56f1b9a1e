"""What goes where: with ``--json`` stdout carries JSON lines only, and people are told on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from lumina_eval.records import Interval, Metric, RunResult

#: Width of tables where there is no terminal to ask.
PLAIN_WIDTH = 110


class Output:
    """The two streams of a command."""

    def __init__(self, as_json: bool, stdout: TextIO) -> None:
        self._json = as_json
        self._stdout = stdout
        self.people = _console(sys.stderr)
        self.tables = self.people if as_json else _console(stdout)

    def emit(self, record: BaseModel | dict[str, Any]) -> None:
        """Write one JSON line if ``--json`` was given."""
        if not self._json:
            return
        value = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
        self._stdout.write(f"{json.dumps(value, ensure_ascii=False, allow_nan=False)}\n")
        self._stdout.flush()

    def say(self, text: str) -> None:
        """Tell people a plain line, unwrapped and unstyled."""
        self.people.print(text, markup=False, highlight=False, soft_wrap=True)

    def result(self, text: str) -> None:
        """Show people a plain line of the result."""
        self.tables.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Warn people."""
        self.say(f"warning: {text}")


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """Keep stdout clean while a command runs: with ``--json`` all that others print there goes to stderr."""
    if not as_json:
        yield Output(False, sys.stdout)
        return
    real, saved = sys.stdout, None
    try:
        number = real.fileno()
        real.flush()
        saved = os.dup(number)
        os.dup2(sys.stderr.fileno(), number)  # also what is written past Python, by libraries in C
        stdout: TextIO = os.fdopen(os.dup(saved), "w", encoding="utf-8")
    except (OSError, AttributeError, io.UnsupportedOperation):
        stdout = real  # captured in memory, as in tests
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield Output(True, stdout)
    finally:
        stdout.flush()
        if saved is not None:
            os.dup2(saved, real.fileno())
            os.close(saved)


def stage_table(results: Sequence[RunResult]) -> Table:
    """Return a table with a column per checkpoint: metrics, both intervals of the overall, and coverage."""
    table = Table()
    table.add_column("")
    for result in results:
        step = f"\nstep {result.step}" if result.step is not None else ""
        table.add_column(f"{result.title or result.model}{step}", justify="right")
    names = dict.fromkeys(metric.name for result in results for metric in result.metrics)
    for name in names:
        found = [result.metric(name) for result in results]
        table.add_row(name, *(_number(metric) for metric in found))
        if name == "overall":
            seeds = [_interval(metric.ci_seeds if metric else None) for metric in found]
            prompts = [_interval(metric.ci_prompts if metric else None) for metric in found]
            table.add_row("  95 % seeds", *seeds)
            table.add_row("  95 % prompts", *prompts, end_section=True)
    table.add_section()
    coverage = [result.coverage for result in results]
    table.add_row("images judged", *(f"{c.judged} of {c.expected}" for c in coverage))
    if any(c.excluded for c in coverage):
        table.add_row("excluded by rule", *(str(c.excluded) for c in coverage))
    return table


def redacted(argv: Sequence[str]) -> list[str]:
    """Return a command line without passwords and tokens."""
    hidden = [re.sub(r"://[^/@\s]*@", "://***@", word) for word in argv]
    return [re.sub(r"(?i)((?:secret|token|password|api_?key)[^=]*=).+", r"\1***", word) for word in hidden]


def heading(results: Sequence[RunResult]) -> str:
    """Return benchmark, protocol and suite in a line; a subset and changed values are said loudly."""
    first = results[0]
    words = [
        first.benchmark,
        first.protocol,
        first.suite or "",
        f"SUBSET: {first.subset}" if first.subset else "",
    ]
    changed = f"changed: {', '.join(first.changed)}" if first.changed else ""
    return ", ".join(word for word in [*words, changed] if word)


def _number(metric: Metric | None) -> str:
    return "-" if metric is None or metric.value is None else f"{metric.value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _console(stream: TextIO) -> Console:
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=PLAIN_WIDTH, no_color=True)
