"""Command lines of the documents, held against the programs themselves.

A line of ``lumina-eval`` or ``lumina-model`` is parsed by the program: an unknown command or option, a
missing argument or a wrong choice fails. So does a benchmark, protocol, changed value, kind of model, asset
or nox session that is not there. ``DIR``, ``FILE``, ``RUN...``, ``…`` and whatever else is no fixed word
stand for what a reader fills in; ``[--option]`` is one that may be left out.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import glob
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import typer

import lumina_eval.cli
import lumina_model.cli
from lumina_eval import plugins
from lumina_eval.assets.catalogue import all_assets
from lumina_eval.evaluation import find_protocol
from lumina_eval.models.function import is_function

ROOT = Path(__file__).parents[1]
#: Programs of others; of these only what is ours in them can be checked.
OTHERS = ("pip", "uv", "pytest", "pre-commit", "python", "export", "source", "nox")
#: Executed wherever they stand: they need nothing and are quick.
ALWAYS = ("lumina-eval data list", "lumina-eval list", "lumina-eval prompts geneval")
OPEN_COMMAND = re.compile(r"^\S+ [A-Z]+\b")
#: What the command line raises for a command that lacks something.
UNFINISHED = ("MissingParameter", "NoArgsIsHelpError")
OPEN = re.compile(r"…|\.\.\.|<[^>]*>")


def lines_of(text: str) -> list[str]:
    """Return the command lines of a block: continued lines joined, comments and blanks left out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in (_uncommented(line) for line in joined.splitlines()) if line]


def is_command(line: str) -> bool:
    """Tell whether a line begins with a program."""
    return line.split()[0] in ("lumina-eval", "lumina-model", *OTHERS)


def always_run(line: str) -> bool:
    """Tell whether a line is executed without being asked for."""
    return line.startswith(ALWAYS) and not OPEN.search(line)


def check(line: str) -> None:
    """Raise for a line that the program would refuse."""
    if not is_command(line):
        raise ValueError(f"expected a command among commands, found {line!r}")
    for part in re.split(r"\s(?:&&|\|)\s", line):
        program, *words = _words(part)
        if program == "nox":
            _check_nox(words)
        elif program == "python" and words[0] == "-m" and importlib.util.find_spec(words[1]) is None:
            raise ValueError(f"no module {words[1]}")
        elif program in ("lumina-eval", "lumina-model"):
            _check_names(parsed(program, words))


def check_mention(text: str) -> None:
    """Raise for a command within a sentence that does not exist; it may be unfinished."""
    if OPEN_COMMAND.search(text):
        return
    try:
        check(text)
    except Exception as error:
        if type(error).__name__ not in UNFINISHED and "requires an argument" not in str(error):
            raise


def run(line: str, added: str = "") -> None:
    """Execute a line of ours in this process, with words ``added``; it must end with exit code 0."""
    program, *words = shlex.split(f"{line} {added}")
    assert program in ("lumina-eval", "lumina-model"), f"only our programs are run, not {program}"
    words = [name for word in words for name in (sorted(glob.glob(word)) if "*" in word else [word])]
    main = lumina_eval.cli.main if program == "lumina-eval" else lumina_model.cli.main
    code: Any = 0
    with mock.patch.object(sys, "argv", [program, *words]):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert not code, f"{line} ended with exit code {code}"


def parsed(program: str, words: list[str]) -> dict[str, Any]:
    """Let the program parse ``words``; return the values that its function would get, and ``command``."""
    found: dict[str, Any] = {}
    app = _quiet(_app(program, next(iter(words), "")), found)
    with contextlib.suppress(typer.Exit):
        app(words, standalone_mode=False)
    return found


@functools.cache
def _app(program: str, command: str) -> Any:
    if program == "lumina-eval":
        return typer.main.get_command(lumina_eval.cli.make_app([command]))
    return typer.main.get_command(lumina_model.cli.app)


def _quiet(command: Any, found: dict[str, Any]) -> Any:
    """Replace what the commands do by writing down what they are given."""
    for name, inner in getattr(command, "commands", {}).items():
        if inner.callback is not None:  # a group of its own may do something without a command
            inner.callback = functools.partial(_note, found, name)
        _quiet(inner, found)
    return command


def _note(found: dict[str, Any], command: str, **values: Any) -> None:
    found.update(values, command=command)


def _check_names(values: dict[str, Any]) -> None:
    """Look up what the values name: benchmark, protocol, changed values, kinds of model, assets."""
    command, benchmark = values.get("command"), values.get("benchmark")
    if command == "fetch" or (command == "convert" and "kind" in values):
        known = {*all_assets(), *plugins.available("benchmarks")}
        for name in values.get("names") or ():
            assert name in known, f"no asset {name!r}"
    models = values.get("model")
    for model in models if isinstance(models, list) else ():
        scheme = model.partition(":")[0]
        known = is_function(model) or OPEN.search(model) or scheme in plugins.available("models")
        assert known, f"no kind of model {scheme!r}"
    if benchmark is None or not str(benchmark).islower():
        return
    found = plugins.benchmark(benchmark)
    protocol = str(values.get("protocol") or "official")
    if protocol.endswith(".toml") or protocol.isupper():
        return
    resolved = find_protocol(found, protocol, values.get("set_") or ())
    if values.get("suite"):
        resolved.suite(values["suite"])


def _check_nox(words: list[str]) -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    sessions = {
        node.name for node in functions if any("nox.session" in ast.unparse(d) for d in node.decorator_list)
    }
    own = words[: words.index("--")] if "--" in words else words
    for place, word in enumerate(own):
        if word == "-s":
            assert own[place + 1] in {*sessions, "NAME"}, f"no session {own[place + 1]}"
        else:
            assert word in ("-l", "-R") or own[place - 1] == "-s", f"unknown option of nox {word}"


def _words(line: str) -> list[str]:
    """Return the words; brackets around what may be left out go, and so does an ellipsis for more."""
    words = shlex.split(re.sub(r"\[(--[^\]]*)\]", r"\1", line))
    values = {place for place, word in enumerate(words, 1) if word.startswith("--")}
    kept = [word for place, word in enumerate(words) if word != "…" or place in values]
    return [word.removesuffix("...") for word in kept]


def _uncommented(line: str) -> str:
    return re.sub(r"(^|\s+)#.*$", "", line).strip()
