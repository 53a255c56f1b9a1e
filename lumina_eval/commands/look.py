"""``prompts``, ``list``, ``report``, ``compare``, ``sync``, ``doctor``: looking at what is there."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.console import Output, output, while_it_is_read
from lumina_eval.doctor import examine
from lumina_eval.errors import ExitCode, UserError, is_user_error, unknown
from lumina_eval.evaluation import find_protocol
from lumina_eval.publishing import samples, write_reports
from lumina_eval.runs import find_runs, read_manifest, read_result, read_scores, store_of
from lumina_eval.statistics.comparison import Comparison, compare_many, comparison_gate
from lumina_eval.statistics.means import BOUNDS, LOWER_IS_BETTER

Kind = Literal["benchmarks", "protocols", "models", "judges", "reporters", "commands", "runs"]
KINDS: tuple[Kind, ...] = ("benchmarks", "protocols", "models", "judges", "reporters", "commands", "runs")
RunDirs = Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold runs/.")]


def prompts(
    benchmark: o.BenchmarkName,
    protocol: o.ProtocolName = o.DEFAULT_PROTOCOL,
    questions: o.Questions = None,
    set_: o.Changes = o.NONE,
) -> None:
    """Print the prompts of a protocol, in their official form where there is one."""
    found = plugins.benchmark(benchmark, questions)
    resolved = find_protocol(found, protocol, set_)
    lines = getattr(found, "prompt_lines", None)
    texts = lines(resolved) if lines else (item.model_dump_json() for item in found.items(resolved))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    with while_it_is_read():
        for text in texts:
            sys.stdout.write(f"{text}\n")


def list_(
    what: Annotated[str | None, typer.Argument(help=f"One of {', '.join(KINDS)}; all if not given.")] = None,
    out: o.Out = o.OUT,
    as_json: o.AsJson = False,
) -> None:
    """List plug-ins, protocols and runs. Nothing but benchmarks (for their protocols) is imported."""
    if what is not None and what not in KINDS:
        raise unknown("kind to list", what, KINDS)
    with while_it_is_read(), output(as_json) as streams:
        for kind in KINDS if what is None else [k for k in KINDS if k == what]:
            if kind == "runs":
                _list_runs(out, streams)
            elif kind == "protocols":
                _list_protocols(streams)
            else:
                for name, plugin in plugins.available(kind).items():
                    record = {
                        "kind": kind,
                        "name": name,
                        "target": plugin.target,
                        "from": plugin.distribution,
                    }
                    streams.emit(record)
                    streams.result(f"{kind[:-1]:10} {name:20} {plugin.target}  ({plugin.distribution})")


def report(
    run_dirs: RunDirs,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report; report/ beside runs/.")
    ] = None,
    store: o.Store = None,
    as_json: o.AsJson = False,
) -> None:
    """Write tables, curves and galleries of runs: Markdown and one self-contained HTML page."""
    with output(as_json) as streams:
        folders = expand(run_dirs)
        place = out or folders[0].resolve().parent.parent / "report"
        code = finish_report(folders, place, store or store_of(folders[0]), streams, nested=False)
    raise typer.Exit(code)


def finish_report(
    run_dirs: Sequence[Path], out: Path, store: Path, streams: Output, nested: bool = True
) -> ExitCode:
    """Write the report into ``out`` (or ``out/report``) and say where; a reporter that fails is a warning."""
    files, warnings = write_reports(run_dirs, out / "report" if nested else out, store)
    for text in warnings:
        streams.warn(text)
    if not nested:
        streams.emit({"schema": 1, "files": [str(path) for path in files], "warnings": warnings})
    for path in files:
        if path.suffix in (".html", ".md"):
            streams.result(f"report  {path}")
    if tables := [path for path in files if path.suffix in (".tex", ".csv")]:
        kinds = " and ".join(sorted({path.suffix for path in tables}))
        streams.result(f"tables  {len(tables)} files ({kinds}) in {tables[0].parent}")
    return ExitCode.USER if warnings and not files else ExitCode.OK


def compare(
    run_dirs: RunDirs,
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


def sync(out: o.Out = o.OUT, tracking_uri: o.TrackingUri = None, as_json: o.AsJson = False) -> None:
    """Send to MLflow what is not there yet; safe at any time."""
    from lumina_eval import tracking

    code = ExitCode.OK
    with output(as_json) as streams:
        for run in tracking.sync(out, tracking_uri, samples=samples):
            streams.emit({"run_dir": str(run.run_dir), "mlflow_run_id": run.run_id, "warning": run.warning})
            streams.result(f"{run.run_id or 'not sent'}  {run.run_dir}")
            if run.warning:
                streams.warn(run.warning)
                code = ExitCode.USER
    raise typer.Exit(code)


def doctor(out: o.Out = o.OUT, as_json: o.AsJson = False) -> None:
    """Check what a run needs: packages, plug-ins, device, disk, folders."""
    with output(as_json) as streams:
        findings = examine(out)
        for finding in findings:
            streams.emit(finding)
            streams.result(f"{finding.state:8} {finding.what}: {finding.found}")
            if finding.fix:
                streams.result(f"{'':8} fix: {finding.fix}")
    raise typer.Exit(ExitCode.USER if any(f.state == "broken" for f in findings) else ExitCode.OK)


def expand(folders: Sequence[Path]) -> list[Path]:
    """Replace each folder that holds ``runs/`` by its finished runs."""
    found: list[Path] = []
    for folder in folders:
        if (folder / "manifest.json").is_file():
            found.append(folder)
            continue
        inside = find_runs(folder)
        if not inside:
            raise UserError(f"expected a run folder or a folder with runs/, found none at {folder}")
        found += inside
    return list(dict.fromkeys(found))


def _list_protocols(streams: Output) -> None:
    for name in plugins.available("benchmarks"):
        try:
            found = plugins.benchmark(name)
            variants = found.protocols()
            for protocol, path in sorted(variants.items()):
                title = find_protocol(found, protocol).title
                streams.emit({"kind": "protocols", "name": protocol, "benchmark": name, "title": title})
                streams.result(f"{'protocol':10} {name + ' ' + protocol:20} {title}  ({path.name})")
        except Exception as error:
            if not is_user_error(error):
                raise
            streams.warn(str(error))


def _list_runs(out: Path, streams: Output) -> None:
    for run_dir in find_runs(out):
        result = read_result(run_dir)
        overall = result.metric("overall")
        value = overall.value if overall else None
        record = {"kind": "runs", "name": run_dir.name, "run_dir": str(run_dir), "title": result.title}
        streams.emit({**record, "suite": result.suite, "subset": result.subset, "overall": value})
        number = "-" if value is None else f"{value:.3f}"
        streams.result(f"{'run':10} {run_dir}  overall {number}  {result.subset or 'whole protocol'}")


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
