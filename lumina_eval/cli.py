"""``lumina-eval``: the commands put together, and errors turned into messages and exit codes."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Collection
from importlib.metadata import version
from typing import Annotated

import typer

from lumina_eval import plugins
from lumina_eval.commands import (
    compare,
    data,
    export,
    generate,
    judge,
    look,
    plan,
    receipt,
    report,
    run,
    verify,
    watch,
)
from lumina_eval.errors import ExitCode, UserError, is_user_error


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(version("lumina-eval"))
        raise typer.Exit


def top(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Honest evaluation of text-to-image models: any checkpoint, any benchmark, with intervals.

    Exit codes: 0 ok, 1 gate failed, 2 user's mistake, 3 this n cannot decide the gate, 4 incomplete coverage,
    70 a fault of the program, 130 interrupted.
    """


def make_app(wanted: Collection[str] | None = None) -> typer.Typer:
    """Put the commands together, ours and those of plug-ins.

    Of the plug-ins those ``wanted`` are imported: if not given, the one on the command line, or all of them
    where that names no command and so asks for the list. The others are there by name alone.
    """
    app = typer.Typer(
        name="lumina-eval", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
    )
    app.callback()(top)
    for name, command in (
        ("run", run.run),
        ("generate", generate.generate),
        ("judge", judge.judge),
        ("export", export.export),
        ("verify", verify.verify),
        ("watch", watch.watch),
        ("report", report.report),
        ("compare", compare.compare),
        ("plan", plan.plan),
        ("prompts", look.prompts),
        ("list", look.list_),
        ("sync", look.sync),
        ("doctor", look.doctor),
    ):
        app.command(name)(command)
    app.add_typer(data.app, name="data")
    app.add_typer(receipt.app, name="receipt")
    _add_plugins(app, _wanted(sys.argv[1:2]) if wanted is None else wanted)
    return app


def main() -> None:
    """Run the command line; a user's mistake is a message and exit code 2, never a traceback."""
    try:
        make_app()()
    except SystemExit as end:
        if end.code == ExitCode.INTERRUPTED:
            print("interrupted; the same command goes on from here", file=sys.stderr)
        raise
    except Exception as error:
        if is_user_error(error):
            _fail(str(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(
                f"no space left on the disk: {error}; all that was written before is kept; "
                "fix: free some space and run the same command again"
            )
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            _fail(f"{error.filename}: {error.strerror}; fix: mend the permissions, or choose another folder")
        traceback.print_exc()
        print(
            "error: the program or a plug-in failed, as written above; what was written before is kept",
            file=sys.stderr,
        )
        sys.exit(ExitCode.FAULT)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(ExitCode.USER)


def _add_plugins(app: typer.Typer, wanted: Collection[str]) -> None:
    """Add the sub-command of each plug-in, imported only if it is one that is wanted."""
    for name in plugins.available("commands"):
        if name in wanted:
            app.add_typer(plugins.load("commands", name), name=name)
        else:
            app.add_typer(
                typer.Typer(), name=name, help=f"Commands of {name}; see lumina-eval {name} --help."
            )


def _wanted(words: Collection[str]) -> Collection[str]:
    """Return the plug-ins to import for the first word of a command line: for an option, all that load."""
    if any(not word.startswith("-") for word in words):
        return words
    found = []
    for name in plugins.available("commands"):
        with contextlib.suppress(UserError):  # its own command will say why; the list is shown all the same
            plugins.load("commands", name)
            found.append(name)
    return found


if __name__ == "__main__":
    main()
