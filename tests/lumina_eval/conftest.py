"""The command line on a fake world, in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_world import MODEL, Cli, Done, FakeBenchmark

from lumina_eval import cli
from lumina_eval.plugins import injected
from lumina_eval.tracking.connection import connect


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of MLflow, to be copied: its tables take seconds to make."""
    place = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(f"sqlite:///{place}")
    return place


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FakeBenchmark]:
    folder = tmp_path / "protocols"
    folder.mkdir()
    benchmark = FakeBenchmark(folder)
    with injected("benchmarks", fake=benchmark):
        yield benchmark


@pytest.fixture
def call(world: FakeBenchmark, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run ``lumina-eval`` in this process."""

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return Done(int(end.value.code or 0), streams.out, streams.err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Cli:
    """Run ``lumina-eval`` in a process of its own, which may be killed."""
    folder = tmp_path / "process-protocols"
    folder.mkdir()

    def run(*words: object, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("fake_world.py")), *map(str, words)],
            env={**os.environ, "FAKE_FOLDER": str(folder), **environment},
            capture_output=True,
            text=True,
            timeout=900,  # against hanging only: a busy machine is no failure
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def run_words(model_file: Path, tmp_path: Path) -> list[object]:
    """The arguments of a small run that publishes nothing."""
    return [
        "run", "fake", "--protocol", "plain", "--model", f"{model_file}:reddish", "--out", tmp_path / "out",
        "--batch-size", 4, "--no-mlflow", "--no-report",
    ]  # fmt: skip
