"""``lumina-eval`` in processes of its own that share one start: what loads slowly is loaded once.

Every command is a fork of one server (``fork_server.py``), has an exit code of its own, and may be killed.
The server keeps the environment that it was started with, so each fork is given that of its caller.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import fork_server

#: Where a process is to be killed: a module, the name of a function in it, and which call of it, from 1.
Death = tuple[str, str, int]


def run(words: list[str], log: Path, dies: Death | None = None) -> int:
    """Run the command line and return its exit code, which is minus the signal that ended it.

    What it prints goes to ``log``. With ``dies`` it ends itself by SIGKILL in place of that call.
    """
    arguments = (words, log, dict(os.environ), dies)
    process = fork_server.context().Process(target=_command, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _command(words: list[str], log: Path, environment: dict[str, str], dies: Death | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    if dies is not None:
        _kill_in_place_of(*dies)
    sys.argv = ["lumina-eval", *words]
    importlib.import_module("lumina_eval.cli").main()


def _kill_in_place_of(module: str, name: str, call: int) -> None:
    """Put a function in place of another one: the first calls reach that one, number ``call`` kills."""
    place = importlib.import_module(module)
    whole, calls = getattr(place, name), 0

    def until_killed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments)

    setattr(place, name, until_killed)
