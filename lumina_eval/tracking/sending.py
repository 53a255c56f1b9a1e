"""Run folders sent to MLflow: metrics, parameters, records, samples and reports.

For each model line an experiment `lumina-eval/<model>`; in it nested runs: training run, stage, benchmark.
The benchmark run holds metrics, parameters, records and sample images; the curves over training steps are
mirrored to the runs above it. Each checkpoint is one external LoggedModel, linked to its metrics together
with the prompts that they were measured on.

Sending is idempotent: a run is found by its tag `lumina.run_key`, a point by its key and step, a report by
the digest of its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.mosaic import MAX_SAMPLES, Sample, mosaic
from lumina_eval.runs import find_runs, now
from lumina_eval.tracking.address import reason, resolve_uri, shown_uri
from lumina_eval.tracking.checkpoints import link_inputs, logged_model
from lumina_eval.tracking.connection import connect
from lumina_eval.tracking.hierarchy import Hierarchy
from lumina_eval.tracking.projection import COMPLETE, Projection
from lumina_eval.tracking.record_files import DIGEST_TAG, TIMINGS, record_files, records_digest

SampleSource = Callable[[Path], Sequence[Sample]]
"""From a run folder to the samples to show; the first `MAX_SAMPLES` are sent."""


@dataclass(frozen=True)
class MlflowRun:
    """Where a run folder went; `run_id` is None, and `warning` says why, if it could not be sent."""

    run_dir: Path
    tracking_uri: str
    run_id: str | None
    warning: str | None = None
    new: bool = False
    """True if anything of the run was sent, False if all of it was there."""


def log_runs(
    run_dirs: Sequence[Path],
    tracking_uri: str | None,
    out: Path,
    reports: Sequence[Path] = (),
    samples: SampleSource | None = None,
) -> list[MlflowRun]:
    """Send run folders to MLflow; one answer for each, in order. `reports` (files, folders) go beside them.

    Nothing is raised for a store that is away or refuses: the folders are the truth, and `sync` sends later.
    Artifacts of a SQLite store lie beside the database, in `mlartifacts`.
    """
    uri = resolve_uri(tracking_uri, out)

    def unsent(run_dir: Path, error: Exception) -> MlflowRun:
        return MlflowRun(run_dir, shown_uri(uri), None, _warning(run_dir.name, uri, error))

    try:
        place = Hierarchy(connect(uri), uri)
    except Exception as error:
        return [unsent(run_dir, error) for run_dir in run_dirs]
    sent: list[MlflowRun] = []
    trainings: dict[str, None] = {}
    for run_dir in run_dirs:
        try:
            view = Projection.read(run_dir)
            run_id, new = send(place, view, samples)
            trainings[place.parents(view)[0]] = None
            sent.append(MlflowRun(run_dir, shown_uri(uri), run_id, new=new))
        except Exception as error:
            sent.append(unsent(run_dir, error))
    try:
        send_reports(place, list(trainings), reports)
    except Exception as error:
        warning = _warning("report", uri, error)
        sent = [replace(run, warning=run.warning or warning) for run in sent]
    return sent


def sync(out: Path, tracking_uri: str | None = None, samples: SampleSource | None = None) -> list[MlflowRun]:
    """Send what is not yet there of the finished run folders in `out/runs` and of the report beside them.

    Safe at any time.
    """
    files = sorted(path for path in (out / "report").glob("*") if not path.name.startswith("."))
    return log_runs(find_runs(out), tracking_uri, out, files, samples=samples)


def send(place: Hierarchy, view: Projection, samples: SampleSource | None) -> tuple[str, bool]:
    """Return the id of the benchmark run, and whether anything of it was sent now."""
    from mlflow.entities import Metric, Param

    client = place.client
    run_id = place.find(view, view.key)
    if run_id is not None:
        tags = client.get_run(run_id).data.tags
        if tags.get(COMPLETE) == "true":
            if DIGEST_TAG in tags:
                return run_id, False
            _send_records(place, run_id, view)  # sent by a version that sent fewer records
            return run_id, True
    parents = place.parents(view)
    model_id = logged_model(place, view, parents[-1])
    run_id = run_id or place.start(view, view.run_name, view.tags(), parents[-1], view.started_ms)
    link_inputs(place, run_id, view, model_id)
    there = client.get_run(run_id).data  # of an attempt that was cut off
    dataset = dict(zip(("dataset_name", "dataset_digest"), view.dataset, strict=True))
    client.log_batch(
        run_id,
        params=[Param(name, value) for name, value in view.params().items() if name not in there.params],
        metrics=[
            Metric(name, value, view.finished_ms, view.step, model_id=model_id, **dataset)
            for name, value in view.points().items()
            if name not in there.metrics
        ],
    )
    _send_records(place, run_id, view)
    if samples is not None and "lumina.samples" not in there.tags:
        _show(place, run_id, view, samples(view.run_dir)[:MAX_SAMPLES])
    for parent in parents:
        place.mirror(parent, view)
    client.set_tag(run_id, COMPLETE, "true")
    client.set_terminated(run_id, "FINISHED", view.finished_ms)
    return run_id, True


def send_reports(place: Hierarchy, trainings: Sequence[str], reports: Sequence[Path]) -> None:
    """Put report files and folders on the training runs; a newer report takes the place of an older.

    What lies in subfolders stays there, so that a page still finds its pictures. A report of the very bytes
    that are there is not sent again.
    """
    if not reports:
        return
    root = Path(os.path.commonpath([path.absolute().parent for path in reports]))
    files = sorted({file for path in reports for file in (path.rglob("*") if path.is_dir() else [path])})
    digest = digest_of(
        {file.absolute().relative_to(root).as_posix(): sha256_file(file) for file in files if file.is_file()}
    )
    for run_id in trainings:
        if place.client.get_run(run_id).data.tags.get("lumina.report_sha256") == digest:
            continue
        for path in reports:
            inside = path.absolute().parent.relative_to(root).as_posix()
            folder = "report" if inside == "." else f"report/{inside}"
            if path.is_dir():
                place.client.log_artifacts(run_id, str(path), f"{folder}/{path.name}")
            else:
                place.client.log_artifact(run_id, str(path), folder)
        place.client.set_tag(run_id, "lumina.report_sha256", digest)


def _send_records(place: Hierarchy, run_id: str, view: Projection) -> None:
    """Send the record files and the timings, then say which bytes the records were."""
    timings = view.run_dir / TIMINGS
    for path in (*record_files(view.run_dir), *([timings] if timings.is_file() else [])):
        place.client.log_artifact(run_id, str(path))
    place.client.set_tag(run_id, "lumina.sent", now())
    place.client.set_tag(run_id, DIGEST_TAG, records_digest(view.run_dir))


def _show(place: Hierarchy, run_id: str, view: Projection, samples: Sequence[Sample]) -> None:
    """Send the samples at their training step, and one sheet of all with what the judge saw."""
    if not samples:
        return
    client = place.client
    for number, sample in enumerate(samples):
        client.log_image(run_id, sample.image, key=f"sample_{number:02d}", step=view.step)
    client.log_image(run_id, mosaic(samples), artifact_file="samples.png")
    prompts = "\n".join(f"sample_{number:02d}: {sample.prompt}" for number, sample in enumerate(samples))
    client.log_text(run_id, prompts, "samples.txt")
    client.set_tag(run_id, "lumina.samples", str(len(samples)))


def _warning(what: str, uri: str, error: Exception) -> str:
    return (
        f"{what} was not sent to MLflow at {shown_uri(uri)}: {reason(error, uri)}; "
        "send it later: lumina-eval sync"
    )
