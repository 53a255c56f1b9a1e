"""After the runs: what fails to be published is a warning, and what was published is noted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli

from lumina_eval.plugins import injected
from lumina_eval.publishing import Published, samples
from lumina_eval.tracking import sending
from lumina_eval.tracking.sending import MlflowRun


def good(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    assert all((run_dir / "metrics.json").is_file() for run_dir in run_dirs)
    assert list(store.rglob("*.png"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(f"{len(run_dirs)} runs")
    return [out / "report.md"]


def bad(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    raise ValueError("no such template")


@pytest.fixture
def publishing_words(run_words: list[Any]) -> list[Any]:
    return [word for word in run_words if word not in ("--no-mlflow", "--no-report")]


def sent(run_id: str | None, warning: str | None = None) -> Any:
    def log_runs(run_dirs: Sequence[Path], uri: str | None, out: Path, **more: Any) -> list[MlflowRun]:
        return [MlflowRun(run_dir, "sqlite:///x", run_id, warning) for run_dir in run_dirs]

    return log_runs


def test_reports_and_mlflow_ids_are_told_and_noted(
    call: Cli, publishing_words: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "log_runs", sent("abc123"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with injected("reporters", markdown=good, html=bad):
        done = call(*publishing_words, "--json")
    assert done.code == 0
    (record,) = done.records
    assert record["mlflow_run_id"] == "abc123"
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path / 'out' / 'mlflow.db'}" in done.stderr
    assert str(tmp_path / "out" / "report" / "report.md") in done.stderr
    assert any("no such template" in warning for warning in record["warnings"])
    run_dir = Path(record["run_dir"])
    assert json.loads((run_dir / "manifest.json").read_text())["mlflow_run_id"] == "abc123"
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["mlflow_run_id"] is None
    assert metrics["warnings"] == []


@pytest.mark.parametrize("how", ["raises", "warns"])
def test_a_tracker_that_is_away_loses_no_run(
    call: Cli, publishing_words: list[Any], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def away(*things: Any, **more: Any) -> Any:
        raise ConnectionError("server is away")

    monkeypatch.setattr(sending, "log_runs", away if how == "raises" else sent(None, "server is away"))
    with injected("reporters", markdown=good, html=good):
        done = call(*publishing_words, "--json")
    assert done.code == 0
    assert done.records[0]["mlflow_run_id"] is None
    assert any("server is away" in warning for warning in done.records[0]["warnings"])


def test_runs_pages_and_mlflow_are_told_by_their_places() -> None:
    files = (Path("r/report.md"), Path("r/curve.svg"), Path("r/report.html"))
    told = Published(files, "mlflow ui", ("a warning",)).places([Path("runs/a"), Path("runs/b")])
    assert list(told) == [
        "run     runs/a",
        "run     runs/b",
        "report  r/report.md",
        "report  r/report.html",
        "MLflow  mlflow ui",
    ]
    assert list(Published((), None, ()).places([])) == []


def test_samples_take_turns_between_tasks(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    (run_dir,) = (tmp_path / "out" / "runs").iterdir()
    assert [sample.prompt for sample in samples(run_dir)][:4] == [
        "prompt 0",
        "prompt 1",
        "prompt 2",
        "prompt 3",
    ]
    assert len(samples(run_dir)) == 12


def test_report_takes_run_folders_or_the_folder_above(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    call(*run_words)
    (run_dir,) = (tmp_path / "out" / "runs").iterdir()
    with injected("reporters", markdown=good, html=good):
        by_run = call("report", run_dir, "--out", tmp_path / "one", "--json")
        by_out = call("report", tmp_path / "out")
    assert by_run.code == by_out.code == 0
    assert (tmp_path / "one" / "report.md").read_text() == "1 runs"
    assert (tmp_path / "out" / "report" / "report.md").read_text() == "1 runs"


def test_compare_pairs_two_runs_and_its_gate_looks_at_the_last(
    call: Cli, run_words: list[Any], tmp_path: Path, model_file: Path
) -> None:
    place = run_words.index("--model") + 1
    always = [*run_words[:place], f"{model_file}:always", *run_words[place + 1 :]]
    dirs = {}
    for words in (run_words, always):
        record = call(*words, "--set", "prompts=40", "--json").records[0]
        dirs[record["model"]] = record["run_dir"]
    better = call("compare", dirs["reddish"], dirs["always"], "--gate", "--json")
    worse = call("compare", dirs["always"], dirs["reddish"], "--gate", "--json")
    assert (better.code, worse.code) == (0, 1)
    assert better.records[0]["significant"] is True
    assert better.records[0]["primary"]["difference"] == -worse.records[0]["primary"]["difference"] > 0
    same = call("compare", dirs["always"], dirs["always"], "--gate")
    assert same.code in (2, 3)
    other = call(*run_words, "--json").records[0]["run_dir"]
    refused = call("compare", dirs["always"], other)
    assert refused.code == 2
    assert "one benchmark and protocol" in refused.stderr
