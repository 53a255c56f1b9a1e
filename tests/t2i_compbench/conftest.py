from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_compbench.adapter import T2ICompBench
from lumina_eval import cli
from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol, resolve


@pytest.fixture(scope="session")
def protocol() -> Callable[..., ResolvedProtocol]:
    def make(name: str, changes: Sequence[str] = ()) -> ResolvedProtocol:
        return resolve(name, T2ICompBench().protocols(), changes, T2ICompBench.protocol_keys)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write verdict lines; text is written as it is."""

    def lines(*records: Any, name: str = "saved.jsonl") -> Path:
        file = tmp_path / name
        file.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
        return file

    return lines


@dataclass(frozen=True)
class Told:
    """What the command said: exit code, stderr, and where there is one its record."""

    code: int
    stderr: str
    record: dict[str, Any]

    def value(self, name: str) -> float | None:
        """Return the value of a metric."""
        value: float | None = {metric["name"]: metric["value"] for metric in self.record["metrics"]}[name]
        return value

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Return the lines of ``results.jsonl``."""
        text = (Path(self.record["run_dir"]) / "results.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Told]]:
    """Run ``lumina-eval judge t2i_compbench --verdicts FILE …`` in this process."""

    def run(file: Path, *more: object) -> Told:
        words = ["judge", "t2i_compbench", "--verdicts", file, "--out", tmp_path / "out", "--json", *more]
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return Told(int(end.value.code or 0), streams.err, json.loads(streams.out) if streams.out else {})

    with injected("benchmarks", t2i_compbench=T2ICompBench):
        yield run
