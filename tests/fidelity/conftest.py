"""Fidelity from the command line, through an extractor with random weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fidelity.adapter import Fidelity
from lumina_eval import cli
from lumina_eval.plugins import injected

Call = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extractor in open_clip's form with random weights."""
    import torch

    from benchmarks.tabletop.extractor.architecture import make_model, model_config
    from benchmarks.tabletop.extractor.bundle import write_bundle

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("extractor")
    write_bundle(make_model(model_config()).eval(), folder)
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run ``lumina-eval`` in this process and folder; return exit code, JSON lines and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words), "--json"])
        capsys.readouterr()
        with injected("benchmarks", fidelity=Fidelity), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), [json.loads(line) for line in streams.out.splitlines()], streams.err

    return run


@pytest.fixture
def judge(call: Call, weights: Path) -> Call:
    """Judge two folders with the random extractor."""

    def run(images: Path, *more: object) -> tuple[int, list[dict[str, Any]], str]:
        return call(
            "judge", "fidelity", "--images", images, "--set", f"judge.fid=tabletop:{weights}", *more
        )  # fmt: skip

    return run
