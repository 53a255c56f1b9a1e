"""A checkpoint as an external LoggedModel, and a run's inputs: the weights stay where they are."""

from __future__ import annotations

import json

from lumina_eval.tracking.hierarchy import Hierarchy
from lumina_eval.tracking.projection import Projection


def logged_model(place: Hierarchy, view: Projection, source_run: str) -> str:
    """Return the id of the checkpoint's LoggedModel, found by the digest of its weights or made."""
    from mlflow.entities import LoggedModelStatus

    experiment = place.experiment(view)
    known = place.client.search_logged_models(
        [experiment], f"tags.`lumina.weights_sha256` = '{view.weights}'", max_results=1
    )
    if len(known):
        return str(known[0].model_id)
    facts = {"stage": view.result.stage, "step": view.result.step, "checkpoint": view.result.checkpoint}
    model = place.client.create_logged_model(
        experiment,
        name=view.model_name,
        source_run_id=source_run,
        tags={"lumina.weights_sha256": view.weights, "mlflow.model.isExternal": "true"},
        params={name: str(value) for name, value in facts.items() if value is not None},
        model_type="text-to-image",
    )
    place.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def link_inputs(place: Hierarchy, run_id: str, view: Projection, model_id: str) -> None:
    """Name the prompts and the checkpoint as inputs of the run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    inputs = place.client.get_run(run_id).inputs
    if inputs.dataset_inputs or inputs.model_inputs:
        return
    name, digest = view.dataset
    source = json.dumps({"protocol_sha256": view.manifest.protocol_digest, "subset": view.result.subset})
    dataset = Dataset(name=name, digest=digest, source_type="protocol", source=source)
    place.client.log_inputs(
        run_id,
        datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluation")])],
        models=[LoggedModelInput(model_id)],
    )
