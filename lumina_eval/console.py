"""What goes where: with ``--json`` stdout carries JSON lines only, and people are told on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lumina_eval.records import Interval, Metric, RunResult

#: Width of tables where there is no terminal to ask.
PLAIN_WIDTH: Final = 110
#: Characters of a table's first column and of each other one, with the gaps between them.
NAMES_WIDTH: Final = 17
COLUMN_WIDTH: Final = 16


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
        self.people.print(text, soft_wrap=True)

    def result(self, text: str) -> None:
        """Show people a plain line of the result."""
        self.tables.print(text, soft_wrap=True)

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


@contextlib.contextmanager
def while_it_is_read() -> Iterator[None]:
    """End quietly where the reader of stdout has had enough, as ``head`` has."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would be written, and fail, once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stage_tables(results: Sequence[RunResult], width: int) -> list[Table]:
    """Return tables with a column per checkpoint: metrics, both intervals of the overall, and coverage.

    There are as many tables as it takes for each to fit into ``width`` characters; five columns need 97.
    """
    columns = max(1, (width - NAMES_WIDTH) // COLUMN_WIDTH)
    parts = [results[start : start + columns] for start in range(0, len(results), columns)]
    names = column_names(results)
    metrics = list(dict.fromkeys(metric.name for result in results for metric in result.metrics))
    return [_stage_table(part, names[k * columns :], metrics) for k, part in enumerate(parts)]


def column_names(results: Sequence[RunResult]) -> list[str]:
    """Return what stands above the column of each checkpoint: the stage, else the model, and the step.

    A title that the model chose for itself stands as it is. The model comes before the stage where several
    models have stages.
    """
    staged = {result.model for result in results if result.title == _usual_title(result) and result.stage}
    names = []
    for result in results:
        lines = textwrap.wrap(result.title or result.model, COLUMN_WIDTH)
        if result.stage and result.title == _usual_title(result):
            lines = [result.stage] if len(staged) == 1 else [result.model, result.stage]
        names.append("\n".join([*lines, *([] if result.step is None else [f"step {result.step}"])]))
    return names


def _usual_title(result: RunResult) -> str:
    return f"{result.model}:{result.stage}"


def _stage_table(results: Sequence[RunResult], names: Sequence[str], metrics: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in names[: len(results)]:
        table.add_column(name, justify="right", overflow="fold", vertical="bottom")
    decisive = "overall" if "overall" in metrics else next(iter(metrics), None)
    for metric in metrics:
        found = [result.metric(metric) for result in results]
        table.add_row(metric, *(_number(one) for one in found))
        if metric == decisive:
            seeds = [_interval(one.ci_seeds if one else None) for one in found]
            prompts = [_interval(one.ci_prompts if one else None) for one in found]
            table.add_row("  95 % seeds", *seeds)
            table.add_row("  95 % prompts", *prompts, end_section=True)
    table.add_section()
    coverage = [result.coverage for result in results]
    table.add_row("images judged", *(f"{c.judged} of {c.expected}" for c in coverage))
    if any(c.excluded for c in coverage):
        table.add_row("excluded", *(str(c.excluded) for c in coverage))
    return table


def redacted(argv: Sequence[str]) -> list[str]:
    """Return a command line without passwords and tokens."""
    hidden = [re.sub(r"://[^/@\s]*@", "://***@", word) for word in argv]
    return [re.sub(r"(?i)((?:secret|token|password|api_?key)[^=]*=).+", r"\1***", word) for word in hidden]


def heading(results: Sequence[RunResult]) -> str:
    """Return benchmark, protocol and suite in a line; subset, rewriting and changes are said loudly."""
    first = results[0]
    words = [
        first.benchmark,
        first.protocol,
        first.suite or "",
        f"SUBSET: {first.subset}" if first.subset else "",
    ]
    rewriting = f"REWRITTEN: {first.rewriting.in_words}" if first.rewriting else ""
    changed = f"changed: {', '.join(first.changed)}" if first.changed else ""
    against = f"against {' and '.join(first.against)}" if first.against else ""
    return ", ".join(word for word in [*words, rewriting, changed, against] if word)


def _number(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "-"
    return f"{metric.value:.{5 if metric.unit == 'squared_mmd' else 3}f}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} – {interval[1]:.3f}"


def plain(**given: Any) -> Console:
    """Return a rich console, with its own arguments, that shows names and messages as they are.

    They come from users: brackets in them are no markup, and ``:x:`` is no picture.
    """
    return Console(markup=False, emoji=False, highlight=False, **given)


def _console(stream: TextIO) -> Console:
    console = plain(file=stream)
    return console if console.is_terminal else plain(file=stream, width=PLAIN_WIDTH, no_color=True)
