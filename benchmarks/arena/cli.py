"""``lumina-eval arena``: the commands put together. Each imports what is heavy when it is called."""

from __future__ import annotations

import typer

from benchmarks.arena.export_command import export, reveal
from benchmarks.arena.rate import rate
from benchmarks.arena.serve.command import serve, votes
from benchmarks.arena.tabletop_command import tabletop

app = typer.Typer(
    no_args_is_help=True, help="Human arenas: votes rated, match-ups exported, votes collected."
)


@app.callback()
def arena() -> None:
    """Human arenas: votes rated, match-ups exported, votes collected."""


app.command()(export)
app.command()(rate)
app.command()(reveal)
app.command()(serve)
app.command()(votes)
app.command()(tabletop)
