from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_compbench import prompt_set
from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.prompt_set import CATEGORIES
from benchmarks.t2i_compbench.three_in_one import prompt_key
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


@pytest.fixture
def prompt_files(tmp_path: Path) -> tuple[Path, list[Any]]:
    """A folder of prompts of our own in the official layout, and the words that pin it."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    words: list[Any] = ["--questions", folder]
    for category in CATEGORIES:
        lines = [f"a {category} thing and thing number {n}" for n in range(300)]
        file = folder / f"{category}_val.txt"
        file.write_bytes("\r\n".join(lines).encode())  # no newline at the end, as some official files
        words += ["--set", f"prompts.sha256.{category}={hashlib.sha256(file.read_bytes()).hexdigest()}"]
    return folder, words


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Prompts of our own of each kind of ``complex``."""
    named = {kind: f"A {kind} scene with a red cube." for kind in ("spatial", "action", "both")}
    digests = {
        hashlib.sha256(prompt_key(prompt).encode()).hexdigest()[:16]: kind
        for kind, prompt in named.items()
        if kind != "both"
    }
    monkeypatch.setattr(prompt_set, "_kinds", lambda: digests)
    return named
