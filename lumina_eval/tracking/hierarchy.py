"""Experiment, training run, stage run: found by name and key, or made; and the curves that hang on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lumina_eval.digests import digest_of
from lumina_eval.tracking.address import sqlite_file
from lumina_eval.tracking.projection import DIGEST_LENGTH, EXPERIMENTS, Projection, metric_key

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Hierarchy:
    """What stands above the runs of benchmarks in a store."""

    client: MlflowClient
    uri: str
    experiments: dict[str, str] = field(default_factory=dict)

    def experiment(self, view: Projection) -> str:
        """The experiment of the model line, made on first use."""
        name = f"{EXPERIMENTS}{view.result.model}"
        if name not in self.experiments:
            known = self.client.get_experiment_by_name(name)
            database = sqlite_file(self.uri)  # without this, artifacts would land in the working directory
            beside = None if database is None else (database.parent / "mlartifacts").as_uri()
            self.experiments[name] = (
                known.experiment_id
                if known
                else self.client.create_experiment(name, artifact_location=beside, tags=_about(view))
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


def _about(view: Projection) -> dict[str, str]:
    """What an experiment says of itself; its kind lets the web page open with the list of runs."""
    model = view.result.model
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": f"Evaluations of `{model}`. The same tables from here: "
        f"`lumina-eval report --from-mlflow {model}`",
    }
