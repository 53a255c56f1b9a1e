"""What the distribution promises: entry points, data files, dependencies, pins and documents agree."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lumina_eval", "lumina_model", "benchmarks", "reports")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def normal(requirement: str) -> str:
    """Return the normal form of the name in a requirement: ``Scikit_Learn[x]>=1`` is ``scikit-learn``."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def pins() -> dict[str, str]:
    """Return name and version of every line of the constraints."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z0-9-]+)==([a-z0-9.]+)", line) for line in lines if not line.startswith("#")]
    assert all(found), "a constraint is a name and a version: no address, hash, path or marker"
    return {match[1]: match[2] for match in found if match}


def entry_points() -> Iterator[tuple[str, str]]:
    """Yield (name, target) of every command and plug-in."""
    yield from PROJECT["scripts"].items()
    for group in PROJECT["entry-points"].values():
        yield from group.items()


@pytest.mark.parametrize(("name", "target"), list(entry_points()))
def test_entry_points_lead_somewhere(name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute)), name


@pytest.mark.parametrize(
    ("package", "file", "content"),
    [
        ("lumina_eval", "py.typed", ""),
        ("lumina_model", "py.typed", ""),
        ("benchmarks", "py.typed", ""),
        ("reports", "py.typed", ""),
        ("reports.page", "templates/page.html.j2", "<html"),
        ("reports.page", "scripts/gallery.js", "class Wall"),
        ("reports", "templates/report.css", "table"),
        ("reports", "templates/paper.html.j2", "<html"),
        ("benchmarks.arena", "CARD.md", "# Arena"),
        ("reports", "published/table5.toml", "Artificial Analysis"),
        ("benchmarks.arena.serve", "templates/ballot.html.j2", "<form"),
        ("benchmarks.arena.serve", "templates/arena.css", "button"),
        ("benchmarks.arena.serve", "templates/keys.js", "keydown"),
        ("benchmarks.geneval", "CARD.md", "# GenEval"),
        ("benchmarks.tabletop", "CARD.md", "#"),
        ("benchmarks.geneval", "protocols/official.toml", "images_per_prompt = 4"),
        ("benchmarks.geneval", "protocols/tabletop.toml", "[suites.quick]"),
        ("benchmarks.t2i_compbench", "CARD.md", "# T2I-CompBench"),
        ("benchmarks.t2i_compbench", "protocols/official.toml", "images_per_prompt = 10"),
        ("benchmarks.t2i_compbench", "protocols/corrected.toml", 'extends = "official"'),
        ("benchmarks.t2i_compbench", "complex_kinds.txt", " spatial"),
        ("benchmarks.fidelity", "CARD.md", "# Fidelity"),
        ("benchmarks.fidelity", "protocols/folder.toml", "inception:clean"),
        ("benchmarks.tabletop.extractor.weights", "SHA256SUMS", "open_clip_model.safetensors"),
        ("lumina_model", "training/configs/low_res.toml", "="),
        ("lumina_model", "training/configs/high_res.toml", "="),
        ("lumina_model", "training/configs/hq_tuning.toml", "="),
    ],
)
def test_data_files_are_found_where_the_packages_are(package: str, file: str, content: str) -> None:
    assert content in resources.files(package).joinpath(file).read_text(encoding="utf-8")


def test_git_ignores_nothing_that_a_wheel_needs() -> None:
    """The build leaves out what git ignores."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "-z", *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    ignored = [Path(name) for name in done.stdout.split("\0") if name]
    caches = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    assert [path for path in ignored if not caches & set(path.parts)] == []


#: What an environment of its own brings (a session of noxfile.py), and this one cannot.
ELSEWHERE = {"detectron2", "spacy"}


def test_dependencies_are_what_is_imported() -> None:
    ours = {*PACKAGES, *sys.stdlib_module_names}
    distributions = importlib.metadata.packages_distributions()
    imported: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module]
                    if isinstance(node, ast.ImportFrom) and node.module and not node.level
                    else []
                )
                imported |= {top: str(path) for name in names if (top := name.split(".")[0]) not in ours}
    declared = {normal(requirement) for requirement in PROJECT["dependencies"]}
    extras = {normal(one) for group in PROJECT["optional-dependencies"].values() for one in group}
    # An extra need not be installed; its package is then taken to be called like its distribution.
    providers = {top: {normal(name) for name in distributions.get(top, [top])} for top in imported}
    known = declared | extras | ELSEWHERE
    assert {top: imported[top] for top, names in providers.items() if not names & known} == {}
    assert declared - set().union(*providers.values()) == set()


def test_everything_declared_is_pinned() -> None:
    groups = [entry for group in PYPROJECT["dependency-groups"].values() for entry in group]
    wanted = [*PROJECT["dependencies"], *(entry for entry in groups if isinstance(entry, str))]
    assert {normal(requirement) for requirement in wanted} - pins().keys() == set()


def test_a_commit_is_checked_with_the_version_that_is_pinned() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"ruff==([0-9.]+)", hooks)) == {pins()["ruff"]}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    command = 'pip install "nox[uv]" && nox -s tests'
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert command in readme.splitlines()
    assert 'pip install "nox[uv]" && nox -s geneval' in readme.splitlines()
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_arguments_of_a_benchmark_session_win_over_its_defaults() -> None:
    pytest.importorskip("nox")
    sys.path.insert(0, str(ROOT))
    try:
        noxfile = importlib.import_module("noxfile")
    finally:
        sys.path.remove(str(ROOT))
    whole = noxfile.unless_given(noxfile.EMBEDDED, ["--limit", "3"])
    assert whole[-2:] == ["--limit", "3"]
    assert {"--protocol", "--suite", "--model"} <= set(whole)
    assert whole[whole.index("embedded") :].count("--model") == 0, "a gate looks at the last stage given"
    own = noxfile.unless_given(noxfile.EMBEDDED, ["--model=folder:x", "--suite", "standard"])
    assert own == ["--protocol", "tabletop", "--model=folder:x", "--suite", "standard"]
