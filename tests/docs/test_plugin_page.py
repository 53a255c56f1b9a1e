"""docs/plugins.md followed to the letter: its blocks are a package, which is built, installed and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import doc_blocks
import doc_commands
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
#: What the page promises of a benchmark, and of a judge.
MOST_LINES = 100


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files of the page, by path."""
    found = {
        example.region.lexemes["file"]: str(example.parsed) for example in doc_blocks.parse(PAGE).examples()
    }
    found.pop(None, None)  # type: ignore[call-overload]
    return {**found, "hues/__init__.py": ""}


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """The command lines of the page's block that is to be run."""
    (block,) = [
        example for example in doc_blocks.parse(PAGE).examples() if example.region.lexemes["run"] is not None
    ]
    return doc_commands.lines_of(str(block.parsed))


@pytest.fixture(scope="module")
def site(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of the files without a network, and unpack it as an installer does."""
    site = tmp_path_factory.mktemp("site-packages")
    folder = site / "source"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    python(folder, "-c", f"from setuptools.build_meta import build_wheel; build_wheel({str(site)!r})")
    (wheel,) = site.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.fixture
def installed(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is installed, and this process is in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(site)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "hues"]:
        del sys.modules[name]


def python(folder: Path, *words: str, **environment: str) -> str:
    """Run Python in ``folder`` and return what it printed; it must end with exit code 0."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_benchmark_and_a_judge_are_a_short_file_each(files: dict[str, str]) -> None:
    assert len(files["hues/benchmark.py"].splitlines()) <= MOST_LINES
    assert len(files["hues/judge.py"].splitlines()) <= MOST_LINES


def test_the_files_are_those_that_the_page_lists(files: dict[str, str]) -> None:
    (listing,) = [
        str(example.parsed)
        for example in doc_blocks.parse(PAGE).examples()
        if example.region.lexemes["language"] == "text"
    ]
    assert {line.split()[0] for line in listing.splitlines()} == set(files)


def test_the_packages_own_tests_pass(site: Path) -> None:
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    told = python(site / "source", "-m", "pytest", "-p", "no:cacheprovider", "tests", PYTHONPATH=path)
    assert "4 passed" in told


@pytest.mark.usefixtures("installed")
def test_the_commands_of_the_page_work(commands: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    told = {}
    for line in commands:
        doc_commands.run(line)
        told[line.split()[1]] = capfd.readouterr().out
    listed = {tuple(line.split()[:2]) for line in told["list"].splitlines()}
    assert {("benchmark", "hues"), ("judge", "hue"), ("model", "painter"), ("reporter", "overall")} <= listed
    assert json.loads(told["prompts"].splitlines()[0])["prompt"] == "a photo of a red circle"
    assert "95 % prompts" in told["run"]
    assert "tolerance=2" in told["judge"]
    assert "hues truth 64 px: 1.000\n" in Path("report/overall.txt").read_text()


@pytest.mark.usefixtures("installed")
def test_the_truth_is_right_and_the_painter_sometimes(
    commands: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (line,) = [line for line in commands if line.startswith("lumina-eval run ")]
    doc_commands.run(line, "--json --no-report")
    records = map(json.loads, capfd.readouterr().out.splitlines())
    metrics = {record["title"]: {one["name"]: one for one in record["metrics"]} for record in records}
    truth, painter = metrics["truth 64 px"]["overall"], metrics["painter 70%"]["overall"]
    assert truth["value"] == 1
    assert 0.4 < painter["value"] < 0.95  # 24 images, each right with 0.7
    for found in (truth, painter):
        assert found["n_images"] == 24
        for low, high in (found["ci_seeds"], found["ci_prompts"]):
            assert low <= found["value"] <= high
            assert low < high
