"""Records that went to MLflow come back whole, and give the same tables as the folders do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, with_model

from lumina_eval.errors import UserError
from lumina_eval.runs import find_runs, read_back_from, read_result
from lumina_eval.statistics.means import INTERVALS_VERSION
from lumina_eval.statistics.pareto import cost_of
from lumina_eval.tracking import sending
from lumina_eval.tracking.reading import read_back
from lumina_eval.tracking.record_files import DIGEST_TAG

STATES = {"manifest.json", "source.json", "timings.jsonl"}


@pytest.fixture
def sent(
    call: Cli, run_words: list[Any], model_file: Path, tmp_path: Path, database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """Two runs in a folder, and in the database beside them."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(database, out / "mlflow.db")
    call(*run_words)
    call(*with_model(run_words, f"{model_file}:gappy"))
    assert all(run.warning is None for run in sending.sync(out))
    return out


def uri_of(out: Path) -> str:
    return f"sqlite:///{out}/mlflow.db"


def names_of(out: Path) -> list[str]:
    return [folder.name for folder in find_runs(out)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in STATES}


def client_of(out: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri_of(out))


def benchmark_runs(client: Any, name: str = "lumina-eval/reddish") -> list[Any]:
    experiment = client.get_experiment_by_name(name)
    return [
        run for run in client.search_runs([experiment.experiment_id]) if "lumina.run_digest" in run.data.tags
    ]


def test_the_records_come_back_byte_for_byte(sent: Path, tmp_path: Path) -> None:
    found = read_back(["reddish", "lumina-eval/gappy"], uri_of(sent), tmp_path / "back")
    assert [folder.name for folder in found.run_dirs] == names_of(sent)
    assert found.passed_over == ()
    for here, there in zip(found.run_dirs, find_runs(sent), strict=True):
        assert files_of(here) == files_of(there)
        assert {"items.jsonl", "plan.jsonl", "verdicts.jsonl"} < set(files_of(here))
        manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (here, there)]
        assert all(manifest.pop("mlflow_run_id", 0) != 0 for manifest in manifests)
        assert manifests[0] == manifests[1]
        assert read_back_from(here) == uri_of(sent)
        assert read_back_from(there) is None
    assert "failures.jsonl" in files_of(found.run_dirs[0])


def test_the_version_of_the_intervals_is_a_tag_and_comes_back(sent: Path, tmp_path: Path) -> None:
    """Runs of another version are found in the store, and stay of that version when they are read back."""
    (folder,) = [folder for folder in find_runs(sent) if "reddish" in folder.name]
    (run,) = benchmark_runs(client_of(sent))
    assert run.data.tags["lumina.intervals_version"] == str(INTERVALS_VERSION)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.pop("intervals_version") == INTERVALS_VERSION
    metrics["metrics"][0]["ci_prompts"][0] -= 0.01  # an older record, before there were versions
    (folder / "metrics.json").write_text(json.dumps(metrics))
    sending.sync(sent)
    client = client_of(sent)
    tags = [run.data.tags["lumina.intervals_version"] for run in benchmark_runs(client)]
    assert sorted(tags) == ["1", str(INTERVALS_VERSION)]
    client.set_tag(run.info.run_id, "lumina.sent", "2020-01-01T00:00:00+00:00")
    (back,) = read_back(["reddish"], uri_of(sent), tmp_path / "back").run_dirs
    assert read_result(back).intervals_version == 1


def test_what_an_image_cost_comes_back_too(sent: Path, tmp_path: Path) -> None:
    """The timings are in no digest: a run that was started again since is the same run."""
    (folder,) = [folder for folder in find_runs(sent) if "reddish" in folder.name]
    (back,) = read_back(["reddish"], uri_of(sent), tmp_path / "back").run_dirs
    assert cost_of(back) == cost_of(folder)
    assert cost_of(back).images_made
    with (folder / "timings.jsonl").open("a") as file:
        file.write('{"step":"judge","images":1,"seconds":1.0}\n')
    assert read_back(["reddish"], uri_of(sent), sent).run_dirs == (folder,)


def test_reading_again_fetches_nothing_and_mends_what_was_altered(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    back = tmp_path / "back"
    (folder,) = read_back(["reddish"], uri_of(sent), back).run_dirs
    before = (folder / "scores.jsonl").read_bytes()
    with monkeypatch.context() as cut_off:
        cut_off.delattr(MlflowClient, "download_artifacts")
        assert read_back(["reddish"], uri_of(sent), back).run_dirs == (folder,)
    (folder / "scores.jsonl").write_bytes(before[:40])
    read_back(["reddish"], uri_of(sent), back)
    assert (folder / "scores.jsonl").read_bytes() == before
    assert [path.name for path in (back / "runs").iterdir()] == [folder.name]


def test_what_breaks_off_leaves_no_half_a_run(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    whole = MlflowClient.download_artifacts

    def breaks(self: Any, run_id: str, path: str, dst_path: str) -> str:
        if path == "verdicts.jsonl":
            raise ConnectionError("gone")
        return str(whole(self, run_id, path, dst_path))

    monkeypatch.setattr(MlflowClient, "download_artifacts", breaks)
    with pytest.raises(UserError, match="could not be read: gone"):
        read_back(["reddish"], uri_of(sent), tmp_path / "back")
    assert list((tmp_path / "back" / "runs").iterdir()) == []


def test_runs_without_records_are_named_and_passed_over(sent: Path, tmp_path: Path) -> None:
    client = client_of(sent)
    experiment = client.get_experiment_by_name("lumina-eval/reddish").experiment_id
    client.create_run(experiment, run_name="somebody's training")
    half = client.create_run(experiment, run_name="half", tags={"lumina.run_digest": "x"})
    client.set_tag(half.info.run_id, "lumina.run_key", "x")
    found = read_back(["reddish"], uri_of(sent), tmp_path / "back")
    assert len(found.run_dirs) == 1
    half_text, other = sorted(found.passed_over)
    assert "run half" in half_text
    assert "not sent whole" in half_text
    assert "somebody's training" in other
    assert "none of lumina-eval's" in other


def test_a_run_of_an_older_version_is_completed_by_sync(sent: Path, tmp_path: Path) -> None:
    client = client_of(sent)
    (run,) = benchmark_runs(client)
    client.delete_tag(run.info.run_id, DIGEST_TAG)
    with pytest.raises(UserError, match=r"older version.*lumina-eval sync"):
        read_back(["reddish"], uri_of(sent), tmp_path / "back")
    assert [run.new for run in sending.sync(sent)].count(True) == 1
    assert read_back(["reddish"], uri_of(sent), tmp_path / "back").passed_over == ()


def test_altered_artifacts_are_refused(sent: Path, tmp_path: Path) -> None:
    (run,) = benchmark_runs(client_of(sent))
    (artifact,) = (sent / "mlartifacts" / run.info.run_id).rglob("metrics.json")
    artifact.write_text(artifact.read_text().replace('"value"', '"value" '))
    with pytest.raises(UserError, match="not those that were sent"):
        read_back(["reddish"], uri_of(sent), tmp_path / "back")


def test_a_run_made_here_is_never_replaced(sent: Path) -> None:
    (folder,) = [folder for folder in find_runs(sent) if "reddish" in folder.name]
    (folder / "scores.jsonl").write_text("")
    with pytest.raises(UserError, match="--into"):
        read_back(["reddish"], uri_of(sent), sent)
    assert all((folder / "timings.jsonl").is_file() for folder in find_runs(sent))


def test_of_two_records_of_a_run_the_last_one_comes_back(sent: Path, tmp_path: Path) -> None:
    (folder,) = [folder for folder in find_runs(sent) if "reddish" in folder.name]
    metrics = folder / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"judged": 12', '"judged": 11'))
    client = client_of(sent)
    (older,) = benchmark_runs(client)
    client.set_tag(older.info.run_id, "lumina.sent", "2020-01-01T00:00:00+00:00")
    sending.sync(sent)
    found = read_back(["reddish"], uri_of(sent), tmp_path / "back")
    assert json.loads((found.run_dirs[0] / "metrics.json").read_text())["coverage"]["judged"] == 11
    assert any("older record" in text for text in found.passed_over)


def test_wrong_names_and_places_are_told(sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="did you mean reddish"):
        read_back(["redish"], uri_of(sent), tmp_path / "back")
    with pytest.raises(UserError, match="there is no database"):
        read_back(["reddish"], f"sqlite:///{tmp_path}/none.db", tmp_path / "back")
    assert not (tmp_path / "none.db").exists()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match="none that answers") as away:
        read_back(["reddish"], "http://name:secret@127.0.0.1:9", tmp_path / "back")
    assert "secret" not in str(away.value)


def test_a_report_from_mlflow_has_the_same_tables(call: Cli, sent: Path, tmp_path: Path) -> None:
    images = sent / "images"
    by_folder = call("report", sent, "--out", tmp_path / "one", "--store", images, "--json")
    words = ["--from-mlflow", "reddish", "--from-mlflow", "gappy", "--tracking-uri", uri_of(sent)]
    by_mlflow = call(
        "report", *words, "--into", tmp_path / "back", "--out", tmp_path / "two", "--store", images, "--json"
    )
    assert (by_folder.code, by_mlflow.code) == (0, 0)
    ones = [path for path in (tmp_path / "one").rglob("*") if path.suffix in (".md", ".csv", ".tex")]
    assert {path.suffix for path in ones} == {".md", ".csv", ".tex"}
    for one in ones:
        assert (tmp_path / "two" / one.relative_to(tmp_path / "one")).read_bytes() == one.read_bytes()
    without = call("report", *words, "--into", tmp_path / "back", "--out", tmp_path / "three")
    assert without.code == 0  # images are nowhere: the tables are there all the same
    assert "not in MLflow, which this run was read back from" in (tmp_path / "three/report.html").read_text()
    for one in ones:
        if one.suffix != ".md":
            assert (tmp_path / "three" / one.relative_to(tmp_path / "one")).read_bytes() == one.read_bytes()


def test_a_report_goes_to_mlflow_once(call: Cli, sent: Path, tmp_path: Path) -> None:
    done = call("report", sent, "--out", tmp_path / "pages", "--mlflow", "--json")
    assert done.code == 0
    client = client_of(sent)
    experiment = client.get_experiment_by_name("lumina-eval/reddish").experiment_id
    (top,) = [run for run in client.search_runs([experiment]) if "training_run" in run.data.tags]

    def listed(path: str) -> list[str]:
        files = client.list_artifacts(top.info.run_id, path)
        return [name for file in files for name in (listed(file.path) if file.is_dir else [file.path])]

    sent_names = {Path(name).name for name in listed("report")}
    assert {path.name for path in (tmp_path / "pages").rglob("*") if path.is_file()} == sent_names
    assert {Path(name).suffix for name in sent_names} >= {".html", ".md", ".tex", ".csv"}
    (place,) = {path.parent for path in (sent / "mlartifacts" / top.info.run_id).rglob("report.html")}
    (place / "report.html").unlink()
    call("report", sent, "--out", tmp_path / "pages", "--mlflow")
    assert not (place / "report.html").exists()  # the same bytes are not sent twice
    page = tmp_path / "pages" / "report.md"
    page.write_text("another")
    sending.log_runs(find_runs(sent), None, sent, [page])
    assert (place / "report.md").read_text() == "another"


@pytest.fixture
def server(tmp_path: Path, database: Path) -> Iterator[str]:
    """A tracking server on loopback, which keeps artifacts itself."""
    shutil.copy(database, tmp_path / "server.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [
        "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination",
        str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(6000):  # a busy machine is no failure
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield uri
    finally:
        process.terminate()
        process.wait(30)


def test_a_server_gives_back_what_it_was_sent(sent: Path, server: str, tmp_path: Path) -> None:
    assert [run.warning for run in sending.sync(sent, server)] == [None, None]
    found = read_back(["reddish", "gappy"], server, tmp_path / "back")
    assert [files_of(here) for here in found.run_dirs] == [files_of(there) for there in find_runs(sent)]
