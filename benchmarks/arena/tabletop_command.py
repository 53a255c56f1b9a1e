"""``lumina-eval arena tabletop``: runs of the embedded world against each other, with the analytic judge."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lumina_eval.console import output


def tabletop(
    runs: Annotated[list[Path], typer.Argument(help="Runs of geneval --protocol tabletop, or their --out.")],
    out: Annotated[Path, typer.Option("--out", help="JSON lines to write.")] = Path("arena-votes.jsonl"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sides.")] = 0,
) -> None:
    """Let the analytic judge of the embedded world vote on every pair of images of these runs."""
    from benchmarks.arena.matchups import entrants, run_folders
    from benchmarks.arena.tabletop_votes import fulfilled, votes_of
    from benchmarks.arena.vote_files import write_votes
    from lumina_eval.runs import read_result

    with output(False) as streams:
        taking_part = entrants(run_folders(runs))
        battles = votes_of(taking_part, seed)
        write_votes(out, battles)
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for header in ("", "GenEval overall", "clauses fulfilled"):
            table.add_column(header, justify="right" if header else "left")
        mean = {run.name: fmean(fulfilled(run.run_dir).values()) for run in taking_part}
        for run in sorted(taking_part, key=lambda run: -mean[run.name]):
            overall = read_result(run.run_dir).metric("overall")
            value = None if overall is None else overall.value
            table.add_row(run.name, "-" if value is None else f"{value:.3f}", f"{mean[run.name]:.3f}")
        streams.tables.print(table)
        streams.result(f"{len(battles)} votes of the analytic judge in {out}")
