"""What a check found, in rows for people and machines, and the exit code that follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lumina_eval.errors import ExitCode

State = Literal["PASS", "FAIL", "NOTE", "UNCHECKED", "ABSENT"]
"""``NOTE``: true, and good to know. ``UNCHECKED``: something that the check needs is not at hand. ``ABSENT``:
the plug-in that knows the rules is not installed."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    said: str


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return 1 if anything is wrong, 2 if the rules are not installed, 4 if something was not checked."""
    states = {finding.state for finding in findings}
    if "FAIL" in states:
        return ExitCode.GATE_FAILED
    if "ABSENT" in states:
        return ExitCode.USER
    return ExitCode.INCOMPLETE if "UNCHECKED" in states else ExitCode.OK
