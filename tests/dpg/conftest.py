from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from dpg_world import Cli, Done

from benchmarks.dpg.adapter import Dpg
from lumina_eval import cli
from lumina_eval.evaluation import find_protocol
from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol


@pytest.fixture(scope="session")
def protocol() -> Callable[..., ResolvedProtocol]:
    def make(name: str, changes: Sequence[str] = ()) -> ResolvedProtocol:
        return find_protocol(Dpg(), name, changes)

    return make


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run ``lumina-eval`` in this process."""

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words)])
        capsys.readouterr()
        with injected("benchmarks", dpg=Dpg), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return Done(int(end.value.code or 0), streams.out, streams.err)

    return run


@pytest.fixture
def judge(call: Cli, tmp_path: Path) -> Cli:
    """Score a verdict file: ``judge(questions, verdicts, protocol, *more)``, texts or paths."""

    def run(questions: str | Path, verdicts: str | Path, name: str = "official", *more: object) -> Done:
        files = {}
        for kind, given in (("questions", questions), ("verdicts", verdicts)):
            files[kind] = given if isinstance(given, Path) else tmp_path / f"{kind}.txt"
            if isinstance(given, str):
                files[kind].write_bytes(given.encode())
        return call(
            "judge", "dpg", "--protocol", name, "--questions", files["questions"],
            "--verdicts", files["verdicts"], "--out", tmp_path / "out", "--json", *more,
        )  # fmt: skip

    return run
