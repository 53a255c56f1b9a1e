"""A page for each command, made from the command line itself: its help, arguments, options and defaults."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal

import mkdocs_gen_files
import typer

import lumina_eval.cli
import lumina_model.cli
from lumina_eval import plugins

OURS: Final = [
    name
    for name, plugin in plugins.available("commands").items()
    if plugin.distribution.startswith("lumina-eval ")
]
PROGRAMS: Final = {
    "lumina-eval": lumina_eval.cli.make_app(OURS),
    "lumina-model": lumina_model.cli.app,
}
TYPES: Final = {Path: "path", int: "number", float: "number"}


def write_pages() -> None:
    """Write ``commands/``: an index, a page for each command of both programs, and their order."""
    summary = ["* [All commands](index.md)"]
    index = [
        "# Commands",
        "Made from the programs themselves; `--help` says the same. `nox -l` lists the sessions.",
    ]
    for program, app in PROGRAMS.items():
        group = typer.main.get_command(app)
        context = group.make_context(program, [], resilient_parsing=True)
        index += [f"## {program}", told(group.help), "| command | what it does |\n|---|---|"]
        summary.append(f"* {program}")
        for name in group.list_commands(context):  # type: ignore[attr-defined]
            command = group.commands[name]  # type: ignore[attr-defined]
            place = f"{program}-{name}.md"
            with mkdocs_gen_files.open(f"commands/{place}", "w") as page:
                page.write("\n\n".join(sections(command, f"{program} {name}", "#")) + "\n")
            first = told(command.help).split("\n\n")[0].replace("\n", " ")
            index[-1] += f"\n| [`{program} {name}`]({place}) | {cell(first)} |"
            summary.append(f"    * [{name}]({place})")
    with mkdocs_gen_files.open("commands/index.md", "w") as page:
        page.write("\n\n".join(index) + "\n")
    with mkdocs_gen_files.open("commands/SUMMARY.md", "w") as page:
        page.write("\n".join(summary) + "\n")


def sections(command: Any, name: str, heading: str) -> Iterator[str]:
    """Yield the Markdown blocks of a command, and of the commands within it."""
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"{heading} {name}"
    if command.help:
        yield told(command.help)
    usage = " ".join(re.sub(r"\{(\w+)\}", _upper, piece) for piece in command.collect_usage_pieces(context))
    yield f"```text\n{name} {usage}\n```"
    kinds = typing.get_type_hints(command.callback) if command.callback else {}
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    rows = [row(one, kinds.get(one.name)) for one in shown]
    if rows:
        yield "\n".join(["| argument or option | meaning | default |", "|---|---|---|", *rows])
    for inner in getattr(command, "commands", {}).values():
        yield from sections(inner, f"{name} {inner.name}", "##")


def row(parameter: Any, kind: Any) -> str:
    """Return the line of a table for an argument or option, whose annotation is ``kind``."""
    argument = parameter.param_type_name == "argument"
    names = [parameter.name.upper()] if argument else [*parameter.opts, *parameter.secondary_opts]
    shown = ", ".join(f"`{name}`" for name in names)
    if not argument and not parameter.is_flag:
        shown += f" {cell(parameter.metavar or type_of(kind))}"
    notes = ["required"] if parameter.required else []
    if parameter.nargs == -1:
        notes.append("one or more" if parameter.required else "any number")
    elif parameter.multiple:
        notes.append("repeatable")
    meaning = told(parameter.help) + (f" ({', '.join(notes)})" if notes else "")
    return f"| {shown} | {cell(meaning)} | {default_of(parameter)} |"


def type_of(kind: Any) -> str:
    """Name a type as a user knows it: what may be chosen, or what is to be typed."""
    inner = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) is Literal:
        return " or ".join(map(str, inner))
    if inner:  # X | None, list[X]
        return type_of(inner[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(str(one.value) for one in kind)
    return TYPES.get(kind, "text")


def default_of(parameter: Any) -> str:
    """Return the default as a user would type it; nothing where there is none."""
    value = parameter.default
    if value is None or value is False or value == [] or callable(value) or "UNSET" in repr(value):
        return ""
    values = value if isinstance(value, list | tuple) else [value]
    return ", ".join("on" if one is True else f"`{one}`" for one in values)


def _upper(found: re.Match[str]) -> str:
    return found[1].upper()


def told(text: str | None) -> str:
    """Return a help text as Markdown: code in single quotes, no form feeds."""
    return re.sub(r"``(.+?)``", r"`\1`", (text or "").replace("\f", "")).strip()


def cell(text: str) -> str:
    """Return ``text`` for a cell of a table."""
    return text.replace("|", r"\|").replace("\n", " ")


write_pages()
