"""MLflow as a projection of the run folders: written after them, rebuilt from them, never read back.

For each model line an experiment `lumina-eval/<model>`; in it nested runs: training run, stage, benchmark.
The benchmark run holds metrics, parameters, records and sample images; the curves over training steps are
mirrored to the runs above it. Each checkpoint is one external LoggedModel (its weights stay where they are),
linked to its metrics together with the prompts that they were measured on.

Sending is idempotent: a run is found by its tag `lumina.run_key`, a point by its key and step. This is the
only file that imports mlflow, and on first use: the import takes seconds and looks for the telemetry switch.
Every call names its run, because MLflow's fluent interface keeps global state.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lumina_eval.digests import digest_of
from lumina_eval.errors import first_line
from lumina_eval.mosaic import MAX_SAMPLES, Sample, mosaic
from lumina_eval.projection import DIGEST_LENGTH, Projection, metric_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDS = (
    "manifest.json", "metrics.json", "results.jsonl", "summary.txt", "verdicts.jsonl", "scores.jsonl",
)  # fmt: skip
TRACKING_URI = "MLFLOW_TRACKING_URI"

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


def resolve_uri(tracking_uri: str | None, out: Path) -> str:
    """Return the argument, else `MLFLOW_TRACKING_URI`, else the database `out/mlflow.db`."""
    return tracking_uri or os.environ.get(TRACKING_URI) or f"sqlite:///{out.absolute() / 'mlflow.db'}"


def shown_uri(uri: str) -> str:
    """Return the address without the name and the password that it may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


def ui_command(uri: str) -> str:
    """Return what shows the runs: a shell line for a database, the address itself for a server."""
    if "://" in uri and not uri.startswith(("sqlite:", "mysql", "postgresql", "mssql")):
        return shown_uri(uri)
    database = _sqlite_file(uri)
    store = shown_uri(uri) if database is None else f"sqlite:///{database}"
    return f"mlflow ui --backend-store-uri {shlex.quote(store)} --host 127.0.0.1 --port 5000"


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
        store = _Store.connect(uri)
    except Exception as error:
        return [unsent(run_dir, error) for run_dir in run_dirs]
    sent: list[MlflowRun] = []
    trainings: dict[str, None] = {}
    for run_dir in run_dirs:
        try:
            view = Projection.read(run_dir)
            run_id, new = store.send(view, samples)
            trainings[store.training(view)] = None
            sent.append(MlflowRun(run_dir, shown_uri(uri), run_id, new=new))
        except Exception as error:
            sent.append(unsent(run_dir, error))
    try:
        store.send_reports(list(trainings), reports)
    except Exception as error:
        warning = _warning("report", uri, error)
        sent = [replace(run, warning=run.warning or warning) for run in sent]
    return sent


def sync(out: Path, tracking_uri: str | None = None, samples: SampleSource | None = None) -> list[MlflowRun]:
    """Send what is not yet there of every finished run folder in `out/runs`; safe at any time."""
    folders = sorted(path.parent for path in (out / "runs").glob("*/metrics.json"))
    return log_runs(folders, tracking_uri, out, samples=samples)


def _warning(what: str, uri: str, error: Exception) -> str:
    reason = first_line(error).replace(uri, shown_uri(uri))
    return f"{what} was not sent to MLflow at {shown_uri(uri)}: {reason}; send it later: lumina-eval sync"


def _sqlite_file(uri: str) -> Path | None:
    """The database file of `sqlite:///relative` or `sqlite:////absolute`; None for any other store."""
    path = uri.removeprefix("sqlite:///")
    return None if path == uri or path.startswith(":memory:") else Path(path).absolute()


def _make_database(database: Path) -> None:
    """Make the tables aside and put them in place at once: a kill in between would leave half of them.

    mlflow makes them in dozens of migrations and refuses a database that has only some.
    """
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    if database.exists():
        return
    with tempfile.TemporaryDirectory(
        prefix=".mlflow-", dir=database.parent, ignore_cleanup_errors=True
    ) as folder:
        partial = Path(folder) / database.name
        MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
        try:
            os.link(partial, database)
        except FileExistsError:  # another process was quicker
            pass
        except OSError:  # a file system without links
            shutil.copyfile(partial, database)


@dataclass(frozen=True)
class _Store:
    """A store that answered."""

    client: MlflowClient
    uri: str
    experiments: dict[str, str] = field(default_factory=dict)

    @classmethod
    def connect(cls, uri: str) -> _Store:
        """Import mlflow and ask something cheap, so that a store that is away is noticed once."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default seven: minutes of waiting
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is for records
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # they tell of every table they make
            logging.getLogger(name).setLevel(logging.WARNING)
        database = _sqlite_file(uri)
        if database is not None:
            _make_database(database)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
        return cls(client, uri)

    def send(self, view: Projection, samples: SampleSource | None) -> tuple[str, bool]:
        """Return the id of the benchmark run, and whether anything of it was sent now."""
        from mlflow.entities import Metric, Param

        client = self.client
        run_id = self.find(view, view.key)
        if run_id is not None and client.get_run(run_id).data.tags.get("lumina.complete") == "true":
            return run_id, False
        parents = self.parents(view)
        model_id = self.model(view, parents[-1])
        run_id = run_id or self.start(view, view.run_name, view.tags(), parents[-1], view.started_ms)
        self.link(run_id, view, model_id)
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
        for name in RECORDS:
            if (view.run_dir / name).exists():
                client.log_artifact(run_id, str(view.run_dir / name))
        if samples is not None and "lumina.samples" not in there.tags:
            self.show(run_id, view, samples(view.run_dir)[:MAX_SAMPLES])
        for parent in parents:
            self.mirror(parent, view)
        client.set_tag(run_id, "lumina.complete", "true")
        client.set_terminated(run_id, "FINISHED", view.finished_ms)
        return run_id, True

    def experiment(self, view: Projection) -> str:
        """The experiment of the model line, made on first use."""
        name = f"lumina-eval/{view.result.model}"
        if name not in self.experiments:
            known = self.client.get_experiment_by_name(name)
            database = _sqlite_file(self.uri)  # without this, artifacts would land in the working directory
            beside = None if database is None else (database.parent / "mlartifacts").as_uri()
            self.experiments[name] = (
                known.experiment_id
                if known
                else self.client.create_experiment(name, artifact_location=beside)
            )
        return self.experiments[name]

    def find(self, view: Projection, key: str) -> str | None:
        """The id of the run with this `lumina.run_key`."""
        found = self.client.search_runs(
            [self.experiment(view)], f"tags.`lumina.run_key` = '{key}'", max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def start(
        self, view: Projection, name: str, tags: Mapping[str, str], parent: str | None, start_ms: int
    ) -> str:
        """Make a run below `parent`."""
        nested = {**tags, **({"mlflow.parentRunId": parent} if parent else {})}
        run = self.client.create_run(self.experiment(view), start_time=start_ms, tags=nested, run_name=name)
        return str(run.info.run_id)

    def training(self, view: Projection) -> str:
        """The run at the top: one for the model line."""
        return self.parents(view)[0]

    def parents(self, view: Projection) -> list[str]:
        """Training run, then stage run if the checkpoint has a stage; found or made."""
        names = [name for name in (view.result.model, view.result.stage) if name is not None]
        runs: list[str] = []
        for depth, name in enumerate(names):
            key = digest_of(["parent", *names[: depth + 1]])[:DIGEST_LENGTH]
            run_id = self.find(view, key)
            if run_id is None:
                kind = ("training_run", "lumina.stage")[depth]
                tags = {"lumina.run_key": key, kind: name, "mlflow.source.name": "lumina-eval"}
                label = f"stage={name}" if depth else name
                run_id = self.start(view, label, tags, runs[-1] if runs else None, view.started_ms)
                self.client.set_terminated(run_id, "FINISHED", view.finished_ms)
            runs.append(run_id)
        return runs

    def model(self, view: Projection, source_run: str) -> str:
        """The LoggedModel of the checkpoint, found by the digest of its weights or made."""
        from mlflow.entities import LoggedModelStatus

        experiment = self.experiment(view)
        known = self.client.search_logged_models(
            [experiment], f"tags.`lumina.weights_sha256` = '{view.weights}'", max_results=1
        )
        if len(known):
            return str(known[0].model_id)
        facts = {"stage": view.result.stage, "step": view.result.step, "checkpoint": view.result.checkpoint}
        model = self.client.create_logged_model(
            experiment,
            name=view.model_name,
            source_run_id=source_run,
            tags={"lumina.weights_sha256": view.weights, "mlflow.model.isExternal": "true"},
            params={name: str(value) for name, value in facts.items() if value is not None},
            model_type="text-to-image",
        )
        self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        return str(model.model_id)

    def link(self, run_id: str, view: Projection, model_id: str) -> None:
        """Name the prompts and the checkpoint as inputs of the run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

        inputs = self.client.get_run(run_id).inputs
        if inputs.dataset_inputs or inputs.model_inputs:
            return
        name, digest = view.dataset
        source = json.dumps({"protocol_sha256": view.manifest.protocol_digest, "subset": view.result.subset})
        dataset = Dataset(name=name, digest=digest, source_type="protocol", source=source)
        self.client.log_inputs(
            run_id,
            datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluation")])],
            models=[LoggedModelInput(model_id)],
        )

    def mirror(self, parent: str, view: Projection) -> None:
        """Draw the run's values on the curves of `parent`; what is there already is not drawn again.

        Another run at the same step of a curve (other sampling, other weights) gets a curve of its own.
        """
        for name, value in view.headlines().items():
            key = metric_key(view.variant, name)
            taken = {point.step: point.value for point in self.client.get_metric_history(parent, key)}
            if view.step in taken and taken[view.step] != value:
                key = metric_key(view.variant, view.manifest.run_digest[:8], name)
                taken = {point.step: point.value for point in self.client.get_metric_history(parent, key)}
            if view.step not in taken:
                self.client.log_metric(parent, key, value, timestamp=view.finished_ms, step=view.step)

    def show(self, run_id: str, view: Projection, samples: Sequence[Sample]) -> None:
        """Send the samples at their training step, and one sheet of all with what the judge saw."""
        if not samples:
            return
        for place, sample in enumerate(samples):
            self.client.log_image(run_id, sample.image, key=f"sample_{place:02d}", step=view.step)
        self.client.log_image(run_id, mosaic(samples), artifact_file="samples.png")
        prompts = "\n".join(f"sample_{place:02d}: {sample.prompt}" for place, sample in enumerate(samples))
        self.client.log_text(run_id, prompts, "samples.txt")
        self.client.set_tag(run_id, "lumina.samples", str(len(samples)))

    def send_reports(self, trainings: Sequence[str], reports: Sequence[Path]) -> None:
        """Put report files and folders on the training runs; a newer report takes the place of an older.

        What lies in subfolders stays there, so that a page still finds its pictures.
        """
        if not reports:
            return
        root = Path(os.path.commonpath([path.absolute().parent for path in reports]))
        for run_id in trainings:
            for path in reports:
                inside = path.absolute().parent.relative_to(root).as_posix()
                place = "report" if inside == "." else f"report/{inside}"
                if path.is_dir():
                    self.client.log_artifacts(run_id, str(path), f"{place}/{path.name}")
                else:
                    self.client.log_artifact(run_id, str(path), place)
