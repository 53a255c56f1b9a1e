"""``compare``: is a later run better than the first one, prompt by prompt?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lumina_eval.commands import options as o
from lumina_eval.commands.report import expand
from lumina_eval.console import output
from lumina_eval.errors import ExitCode, UserError
from lumina_eval.runs import read_manifest, read_result, read_scores
from lumina_eval.statistics.comparison import Comparison, compare_many, comparison_gate
from lumina_eval.statistics.means import BOUNDS, LOWER_IS_BETTER


def compare(
    run_dirs: o.RunDirs,
    margin: Annotated[float | None, typer.Option("--margin", help="Difference that does not matter.")] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit 1 if the last run is worse, 3 if undecided.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Compare runs with the first one, paired by prompt."""
    with output(as_json) as streams:
        folders = expand(run_dirs)
        if len(folders) < 2:
            raise UserError("expected at least two run folders to compare, found one")
        asked = {(m.benchmark, m.protocol_digest): m.run_id for m in map(read_manifest, folders)}
        if len(asked) > 1:
            raise UserError(
                f"expected runs of one benchmark and protocol, found {', '.join(sorted(asked.values()))}"
            )
        if len({manifest.judge for manifest in map(read_manifest, folders)}) > 1:
            streams.warn("the runs were judged by different judges: a part of each difference may be theirs")
        if len({m.rewriting.outputs if m.rewriting else None for m in map(read_manifest, folders)}) > 1:
            streams.warn("the prompts were rewritten in some runs: a part of each difference may be theirs")
        names = [str(result.title or result.model) for result in map(read_result, folders)]
        if len(set(names)) < len(names):
            names = [folder.resolve().name for folder in folders]
        candidates = {n: read_scores(f) for n, f in zip(names[1:], folders[1:], strict=True)}
        first = read_result(folders[0])
        decisive = first.metric("overall") or next(iter(first.metrics), None)
        unit = decisive.unit if decisive else "fraction"
        compared = compare_many(
            read_scores(folders[0]),
            candidates,
            baseline_name=names[0],
            margin=margin,
            bounds=BOUNDS.get(unit),
            lower_is_better=unit in LOWER_IS_BETTER,
        )
        for one in compared:
            streams.emit(one)
        streams.tables.print(_comparison_table(compared))
        codes = {"passed": ExitCode.OK, "failed": ExitCode.GATE_FAILED, "undecided": ExitCode.UNDECIDABLE}
        code = codes[comparison_gate(compared[-1])] if gate else ExitCode.OK
    raise typer.Exit(code)


def _comparison_table(compared: Sequence[Comparison]) -> Table:
    table = Table(title=f"against {compared[0].baseline}", title_justify="left", box=SIMPLE_HEAD)
    for name in ("", "baseline", "run", "difference", "95 % prompts", "p adjusted", "detectable", ""):
        table.add_column(name, justify="right" if name else "left")
    for one in compared:
        for row in (one.primary, *one.tasks):
            ci = "-" if row.ci is None else f"{row.ci[0]:+.3f} to {row.ci[1]:+.3f}"
            least = "-" if row.minimum_detectable is None else f"{row.minimum_detectable:.3f}"
            table.add_row(
                f"{one.candidate} {row.name}" if row is one.primary else f"  {row.name}",
                f"{row.baseline:.3f}",
                f"{row.candidate:.3f}",
                f"{row.difference:+.3f}",
                ci,
                f"{row.p_adjusted:.4f}",
                least,
                one.verdict if row is one.primary else "",
            )
    return table
