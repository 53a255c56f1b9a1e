"""Rows of a proof: when they pass, how they end a command, and what they may look at."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_world import Cli, Declaring, FakeBenchmark
from file_server import FileServer, serving
from rich.console import Console

from lumina_eval.errors import ExitCode, UserError
from lumina_eval.evaluation import Site
from lumina_eval.plugins import injected
from lumina_eval.store import ImageStore
from lumina_eval.verification import Check, Evidence, verdict_of

BODY = b"published\n"


def row(
    expected: float | None, found: float | None, tolerance: float = 0.01, at_least: bool = False
) -> Check:
    return Check(
        name="x", against="y", expected=expected, found=found, tolerance=tolerance, at_least=at_least
    )


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (row(0.5, 0.51), "PASS"),
        (row(0.5, 0.49), "PASS"),
        (row(0.5, 0.5101), "FAIL"),
        (row(0.5, 0.4899), "FAIL"),
        (row(0.5, 0.9, at_least=True), "PASS"),
        (row(0.5, 0.49, at_least=True), "PASS"),
        (row(0.5, 0.48, at_least=True), "FAIL"),
        (row(0.5, None), "not run"),
        (row(None, 0.5), "not run"),
    ],
)
def test_a_figure_is_met_within_its_tolerance(check: Check, state: str) -> None:
    assert check.state == state


def test_a_miss_counts_more_than_an_absence() -> None:
    met, missed, absent = row(1, 1), row(1, 2), row(1, None)
    assert verdict_of([met, met]) == ExitCode.OK
    assert verdict_of([met, absent, missed]) == ExitCode.GATE_FAILED
    assert verdict_of([met, absent]) == ExitCode.INCOMPLETE
    assert verdict_of([]) == ExitCode.INCOMPLETE, "nothing is proved by nothing"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with serving() as state:
        state.files["/table.csv"] = BODY
        path = tmp_path / "assets.toml"
        path.write_text(
            f'[table]\nwhat = "a table"\nlicence = "MIT"\nurl = "{state.url}/{{name}}"\n'
            f'files = [{{ name = "table.csv", sha256 = "{hashlib.sha256(BODY).hexdigest()}" }}]\n'
        )
        with injected("benchmarks", demo=Declaring(path)):
            yield state


def evidence(tmp_path: Path, data: Path | None = None) -> Evidence:
    console = Console(file=io.StringIO())
    return Evidence(Site(tmp_path / "out", ImageStore(tmp_path / "out" / "images"), 1, console), data=data)


def test_published_files_are_fetched_or_taken_from_the_users_folder(
    server: FileServer, tmp_path: Path
) -> None:
    looked = evidence(tmp_path)
    assert looked.file("table", "table.csv").read_bytes() == BODY
    assert looked.folder("table").is_dir()
    assert looked.used == {"table.csv": hashlib.sha256(BODY).hexdigest(), "table": "as pinned"}
    assert len(server.asked) == 1

    own = tmp_path / "own"
    own.mkdir()
    (own / "table.csv").write_bytes(b"mine")
    looked = evidence(tmp_path, own)
    assert looked.file("table", "table.csv") == own / "table.csv"
    assert "not the pinned file" in looked.warnings[0]
    assert looked.used == {"table.csv": hashlib.sha256(b"mine").hexdigest()}
    looked.file("table", "table.csv")
    assert len(looked.warnings) == 1


def test_offline_the_file_that_is_asked_for_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"table\.csv of table in .*own and .*none/table, found none"):
        evidence(tmp_path, tmp_path / "own").file("table", "table.csv")


def test_what_is_not_as_published_is_no_evidence(server: FileServer, tmp_path: Path) -> None:
    server.files["/table.csv"] = b"another"
    with pytest.raises(UserError, match=r"table\.csv of table is failed: expected sha256"):
        evidence(tmp_path).file("table", "table.csv")
    with pytest.raises(UserError, match="1 of 1 files of table are failed"):
        evidence(tmp_path).folder("table")
    with pytest.raises(UserError, match="unknown asset 'tabel'; did you mean table"):
        evidence(tmp_path).file("tabel", "table.csv")


def test_figures_that_lack_the_same_are_told_in_one_line(
    call: Cli, world: FakeBenchmark, tmp_path: Path
) -> None:
    def figure(name: str, found: float | None, note: str = "") -> Check:
        return Check(name=name, against="y", expected=0.5, found=found, tolerance=0.01, note=note)

    gone = [figure(f"figure {place}", None, "no network; fix: another day") for place in range(9)]
    met, other = figure("met", 0.5), figure("other", None, "no judge")
    world.verification = lambda evidence: [met, *gone, other]  # type: ignore[attr-defined]
    done = call("verify", "fake", "--out", tmp_path / "out")
    assert done.code == 4
    assert done.stdout.count("no network") == 1
    assert "9 figures, from 'figure 0' to 'figure 8': no network; fix: another day" in done.stdout
    assert done.stdout.count("not run  ") == 2
    assert "1 PASS, 0 FAIL, 10 not run" in done.stdout
    assert len(call("verify", "fake", "--out", tmp_path / "out", "--json").records) == 11


def test_a_benchmark_without_proof_says_so(call: Cli) -> None:
    done = call("verify", "fake")
    assert done.code == 2
    assert "nothing to be verified against" in done.stderr
