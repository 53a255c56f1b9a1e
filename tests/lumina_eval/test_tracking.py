"""The projection on a real SQLite store: what is there afterwards, twice, and when things go wrong."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lumina_eval.digests import digest_of
from lumina_eval.mosaic import Sample, mosaic
from lumina_eval.records import Coverage, Manifest, Metric, RunResult, Seconds
from lumina_eval.tracking import address, sending
from lumina_eval.tracking.hierarchy import Hierarchy
from lumina_eval.tracking.projection import Projection, metric_key


def write_run(
    out: Path, stage: str, step: int, overall: float, weights: str | None = None, **changes: object
) -> Path:
    """A run folder as the harness leaves it."""
    digest = weights or digest_of([stage, step])
    benchmark = str(changes.get("benchmark", "geneval"))
    common: dict[str, object] = {
        "benchmark": benchmark, "protocol": "tabletop", "suite": "quick", "subset": None, "model": "embedded",
        "checkpoint": f"stages/{stage}", "digest": digest, "stage": stage, "step": step, **changes,
    }  # fmt: skip
    result = RunResult.model_validate({
        **common,
        "metrics": [
            Metric(name="overall", value=overall, ci_seeds=(overall - 0.1, overall + 0.1), ci_prompts=None,
                   n_prompts=20, n_images=80),
            Metric(name="l2/entity (whole)", value=None, n_prompts=0, n_images=0),
        ],
        "coverage": Coverage(expected=80, generated=80, judged=79, failed=1),
    })  # fmt: skip
    manifest = Manifest.model_validate({
        **common, "run_id": f"{benchmark}-tabletop-embedded-{stage}", "run_digest": digest_of(common),
        "protocol_digest": digest_of("tabletop"), "protocol_values": {}, "title": f"embedded:{stage}",
        "sampling": {"steps": 18, "solver": {"name": "midpoint"}, "size": [64, 64]}, "images_per_prompt": 4,
        "judge": "tabletop@0123456789ab", "judge_kind": "detect", "judge_digest": "ab",
        "started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:05:00+00:00",
        "seconds": Seconds(generate=1.5, judge=None),
    })  # fmt: skip
    folder = out / "runs" / f"{manifest.run_id}-{digest[:12]}-{step}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    (folder / "metrics.json").write_text(result.model_dump_json())
    (folder / "scores.jsonl").write_text("{}\n")
    return folder


@pytest.fixture(scope="module")
def sent(database: Path, tmp_path_factory: pytest.TempPathFactory):
    """Three checkpoints, a report and samples in a fresh store, and the client to look at them."""
    patch = pytest.MonkeyPatch()
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path_factory.mktemp("runs")
    shutil.copy(database, out / "mlflow.db")
    patch.chdir(tmp_path_factory.mktemp("elsewhere"))
    folders = [
        write_run(out, "low_res", 1000, 0.25),
        write_run(out, "low_res", 2000, 0.5),
        write_run(out, "high_res", 3000, 0.75),
    ]
    report = out / "report.html"
    report.write_text("<p>report</p>")
    picture = out / "pictures" / "curve.svg"
    picture.parent.mkdir()
    picture.write_text("<svg/>")
    view = Image.new("RGB", (8, 8), "red")
    runs = sending.log_runs(
        folders,
        None,
        out,
        [report, picture],
        samples=lambda folder: [Sample(f"a red {folder.name}", view, view)] * 40,
    )
    from mlflow import MlflowClient

    yield out, folders, runs, MlflowClient(tracking_uri=f"sqlite:///{out}/mlflow.db")
    patch.undo()


def all_runs(client):
    experiment = client.get_experiment_by_name("lumina-eval/embedded")
    return client.search_runs([experiment.experiment_id])


def histories(client) -> dict[tuple[str, str], list[tuple[int, float]]]:
    return {
        (run.info.run_id, key): [
            (point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)
        ]
        for run in all_runs(client)
        for key in run.data.metrics
    }


def test_runs_are_nested_by_training_run_stage_and_benchmark(sent):
    _, _, runs, client = sent
    assert [run.warning for run in runs] == [None] * 3
    assert all(run.new for run in runs)
    path = []
    run = client.get_run(runs[0].run_id)
    while True:
        path.append(run.info.run_name)
        parent = run.data.tags.get("mlflow.parentRunId")
        if parent is None:
            break
        run = client.get_run(parent)
    assert path == ["1000/geneval@tabletop", "stage=low_res", "embedded"]
    assert len(all_runs(client)) == 3 + 2 + 1
    assert {run.info.status for run in all_runs(client)} == {"FINISHED"}


def test_curves_over_training_steps_are_on_the_training_run(sent):
    _, _, _, client = sent
    (top,) = [run for run in all_runs(client) if "mlflow.parentRunId" not in run.data.tags]
    curve = client.get_metric_history(top.info.run_id, "geneval/tabletop/overall")
    assert sorted((point.step, point.value) for point in curve) == [(1000, 0.25), (2000, 0.5), (3000, 0.75)]


def test_metrics_params_tags_and_records(sent):
    _, _, runs, client = sent
    run = client.get_run(runs[2].run_id)
    assert run.data.metrics["geneval/overall"] == 0.75
    assert run.data.metrics["geneval/overall/ci_seeds_high"] == pytest.approx(0.85)
    assert run.data.metrics["coverage/judged"] == 79
    assert run.data.metrics["seconds/generate"] == 1.5
    assert not [key for key in run.data.metrics if "ci_prompts" in key]  # unknown is left out
    assert run.data.params["sampling.solver.name"] == "midpoint"
    assert run.data.tags["lumina.stage"] == "high_res"
    assert run.data.tags["lumina.coverage"] == "79/80"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**overall 0.75** (95 %: seeds 0.65 to 0.85). 79 of 80 images judged.")
    names = {file.path for file in client.list_artifacts(runs[2].run_id)}
    assert {"manifest.json", "metrics.json", "scores.jsonl", "samples.png"} <= names
    images = {file.path.split("+")[0] for file in client.list_artifacts(runs[2].run_id, "images")}
    assert len(images) == 32


def test_a_checkpoint_is_one_logged_model_with_its_metrics(sent):
    _, _, runs, client = sent
    experiment = client.get_experiment_by_name("lumina-eval/embedded").experiment_id
    models = client.search_logged_models([experiment])
    assert len(models) == 3
    (model,) = [model for model in models if model.params["step"] == "3000"]
    linked = {(metric.key, metric.value, metric.dataset_name) for metric in model.metrics}
    assert ("geneval/overall", 0.75, "geneval/tabletop") in linked
    (given_model,) = client.get_run(runs[2].run_id).inputs.model_inputs
    assert given_model.model_id == model.model_id
    (dataset,) = client.get_run(runs[2].run_id).inputs.dataset_inputs
    assert len(dataset.dataset.digest) <= 36


def test_report_is_on_the_training_run_and_artifacts_are_beside_the_database(sent):
    out, _, _, client = sent
    (top,) = [run for run in all_runs(client) if "mlflow.parentRunId" not in run.data.tags]
    files = [file.path for file in client.list_artifacts(top.info.run_id, "report")]
    assert files == ["report/pictures", "report/report.html"]
    assert list((out / "mlartifacts").rglob("report/pictures/curve.svg"))
    assert list((out / "mlartifacts").rglob("report.html"))
    assert not list(Path.cwd().iterdir())  # nothing in the working directory


def test_sending_again_changes_nothing(sent):
    out, folders, runs, client = sent
    before = histories(client)
    again = sending.log_runs(folders, None, out)
    assert [run.run_id for run in again] == [run.run_id for run in runs]
    assert not any(run.new for run in again)
    assert [run.run_id for run in sending.sync(out)] == [
        run.run_id for run in sorted(runs, key=lambda r: r.run_dir)
    ]
    assert histories(client) == before
    assert len(client.search_logged_models([all_runs(client)[0].info.experiment_id])) == 3


def test_an_attempt_that_was_cut_off_is_finished_without_duplicates(sent, tmp_path, monkeypatch):
    out, _, _, client = sent
    folder = write_run(tmp_path, "hq_tuning", 4000, 0.9, benchmark="dpg")
    uri = f"sqlite:///{out}/mlflow.db"
    with monkeypatch.context() as broken:
        broken.setattr(Hierarchy, "mirror", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        (failed,) = sending.log_runs([folder], uri, tmp_path)
    assert failed.run_id is None
    assert "disk full" in failed.warning
    (mended,) = sending.log_runs([folder], uri, tmp_path)
    assert mended.warning is None
    assert mended.new
    assert [p.value for p in client.get_metric_history(mended.run_id, "dpg/overall")] == [0.9]
    key = client.get_run(mended.run_id).data.tags["lumina.run_key"]
    assert len([run for run in all_runs(client) if run.data.tags.get("lumina.run_key") == key]) == 1


def test_other_weights_at_the_same_step_get_a_curve_of_their_own(sent, tmp_path):
    out, _, _, client = sent
    folder = write_run(tmp_path, "low_res", 1000, 0.3, weights=digest_of("retrained"))
    sending.log_runs([folder], f"sqlite:///{out}/mlflow.db", tmp_path)
    curves = [values for values in histories(client).values() if (1000, 0.3) in values]
    assert curves
    assert all(len({step for step, _ in values}) == len(values) for values in histories(client).values())


def test_a_store_that_is_away_is_a_warning(tmp_path, monkeypatch):
    folder = write_run(tmp_path, "low_res", 1, 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (run,) = sending.log_runs([folder], "http://name:secret@127.0.0.1:9/", tmp_path)
    assert run.run_id is None
    assert "lumina-eval sync" in run.warning
    assert "secret" not in run.warning + run.tracking_uri


def test_a_broken_folder_does_not_stop_the_others(sent, tmp_path):
    out, folders, runs, _ = sent
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    first, second = sending.log_runs([broken, folders[0]], f"sqlite:///{out}/mlflow.db", out)
    assert first.run_id is None
    assert "broken" in first.warning
    assert second.run_id == runs[0].run_id


def test_address(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    local = address.resolve_uri(None, tmp_path)
    assert local == f"sqlite:///{tmp_path}/mlflow.db"
    assert address.ui_command(local) == f"mlflow ui --backend-store-uri {local} --host 127.0.0.1 --port 5000"
    assert address.ui_command("http://me:word@host:80/x") == "http://host:80/x"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    assert address.resolve_uri(None, tmp_path) == "http://host"
    assert address.resolve_uri("sqlite:///x.db", tmp_path) == "sqlite:///x.db"
    monkeypatch.chdir(tmp_path)
    assert f"sqlite:///{os.getcwd()}/x.db" in address.ui_command("sqlite:///x.db")


def test_the_line_for_a_shell_names_the_mlflow_of_this_environment(tmp_path, monkeypatch):
    own, other = tmp_path / "my env" / "bin", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir(parents=True)
        (folder / "mlflow").write_text("")
        (folder / "mlflow").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(own / "python"))
    monkeypatch.setattr(sys, "prefix", str(own.parent))
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", str(own.parent))
    for path, shown in ((own, "mlflow"), (other, f"'{own}/mlflow'"), (tmp_path, f"'{own}/mlflow'")):
        monkeypatch.setenv("PATH", str(path))
        assert address.ui_command("sqlite:///x.db").startswith(f"{shown} ui --backend-store-uri sqlite:///")
    monkeypatch.setenv("PATH", str(own))  # as a runner such as nox does, for the time of its command
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    assert address.ui_command("sqlite:///x.db").startswith(f"'{own}/mlflow' ui ")
    (own / "mlflow").unlink()
    assert address.ui_command("sqlite:///x.db").startswith("mlflow ui ")


@given(st.text(max_size=40), st.text(max_size=40))
def test_metric_keys_are_accepted_and_distinct(one, other):
    from mlflow.utils.validation import _validate_metric_name

    keys = metric_key("geneval", one), metric_key("geneval", other)
    _validate_metric_name(keys[0])
    assert (keys[0] == keys[1]) == (one == other)


def test_known_names_stay_as_they_are():
    assert metric_key("dpg", "l2/entity - whole") == "dpg/l2/entity - whole"


def test_the_key_follows_what_was_measured(tmp_path):
    one = Projection.read(write_run(tmp_path / "a", "low_res", 1, 0.5))
    same = Projection.read(write_run(tmp_path / "b", "low_res", 1, 0.5))
    other = Projection.read(write_run(tmp_path / "c", "low_res", 1, 0.6))
    assert one.key == same.key != other.key
    assert json.loads(json.dumps(one.points())) == one.points()


def test_mosaic_shows_the_image_and_what_the_judge_saw():
    sheet = mosaic(
        [Sample("red", Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue"))] * 5, 4, 64
    )
    assert sheet.getpixel((6 + 32, 6 + 32)) == (255, 0, 0)
    assert sheet.getpixel((6 + 64 + 32, 6 + 32)) == (0, 0, 255)
    assert sheet.height > 2 * 64
    with pytest.raises(ValueError, match="at least one"):
        mosaic([])
