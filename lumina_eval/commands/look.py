"""``prompts``, ``list``, ``sync``, ``doctor``: looking at what is there."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from lumina_eval import plugins
from lumina_eval.commands import options as o
from lumina_eval.console import Output, output, while_it_is_read
from lumina_eval.doctor import examine
from lumina_eval.errors import ExitCode, UserError, is_user_error, unknown
from lumina_eval.evaluation import find_protocol
from lumina_eval.publishing import samples
from lumina_eval.records import RunResult
from lumina_eval.runs import find_runs, read_manifest, read_result
from lumina_eval.statistics.endpoint import primary_metric
from lumina_eval.tracking import sending
from lumina_eval.units import digits

Kind = Literal[
    "benchmarks", "protocols", "models", "judges", "reporters", "commands", "tables", "figures", "runs"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


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
    """List plug-ins, protocols and runs, of runs the newest last.

    Nothing is imported but benchmarks, for their protocols, and tables, for their titles.
    """
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
                    title = _title("tables", name, streams) if kind == "tables" else None
                    streams.emit({**record, "title": title} if kind == "tables" else record)
                    said = title or plugin.target
                    streams.result(f"{kind[:-1]:10} {name:20} {said}  ({plugin.distribution})")


def _title(kind: Literal["tables"], name: str, streams: Output) -> str | None:
    """Return the title that a plug-in gives itself, None where it has none or does not load."""
    try:
        return getattr(plugins.load(kind, name), "title", None)
    except UserError as error:
        streams.warn(str(error))
        return None


def sync(out: o.Out = o.OUT, tracking_uri: o.TrackingUri = None, as_json: o.AsJson = False) -> None:
    """Send to MLflow what is not there yet; safe at any time."""
    code = ExitCode.OK
    with output(as_json) as streams:
        for run in sending.sync(out, tracking_uri, samples=samples):
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
    found: list[tuple[str, Path, RunResult]] = []
    for run_dir in find_runs(out):
        try:
            manifest = read_manifest(run_dir)
            found.append((manifest.finished or manifest.started or "", run_dir, read_result(run_dir)))
        except UserError as error:
            streams.warn(str(error))
    if not found:
        streams.say(f"no runs in {out}")
    for _, run_dir, result in sorted(found, key=lambda one: one[:2]):
        name = primary_metric(result) or "overall"
        primary = result.metric(name)
        value = primary.value if primary else None
        overall = value if name == "overall" else None
        record = {"kind": "runs", "name": run_dir.name, "run_dir": str(run_dir), "title": result.title}
        asked = {"suite": result.suite, "subset": result.subset}
        shown = {"metric": name, "value": value, "unit": primary.unit if primary else None}
        streams.emit({**record, **asked, "overall": overall, **shown})
        number = "-" if primary is None or value is None else f"{value:.{digits(primary.unit)}f}"
        streams.result(f"{'run':10} {run_dir}  {name} {number}  {result.subset or 'whole protocol'}")
