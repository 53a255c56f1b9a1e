"""All that is run on this project: ``nox -l`` lists it, ``nox -s NAME [-- ARGUMENTS]`` runs one.

One environment is shared. torch and what belongs to it take gigabytes, so tests, types and benchmarks do
not get an environment each, as nox does by default: the session ``project`` owns the only one that has the
project in it (``.nox/project``). The others require that session, have none of their own
(``venv_backend="none"``) and run its programs. What it holds is one resolved set, pinned in
``constraints.txt``, so no session can move a package under another. ``lint`` has a small environment
without the project.

uv is used where it is installed, virtualenv otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]

ROOT = Path(__file__).parent
CONSTRAINTS = "constraints.txt"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
#: The build backend comes from the pinned set too; uv's name for that, and pip's.
PINNED_BUILD = {"UV_BUILD_CONSTRAINT": CONSTRAINTS, "PIP_BUILD_CONSTRAINT": CONSTRAINTS}
#: Test processes at most: each holds a torch of its own, about half a gigabyte.
MOST_TEST_PROCESSES = 4

#: spaCy's English pipeline that T2I-CompBench pins (requirements.txt at 1b709499); published as a file only.
PARSER_MODEL = (
    "en-core-web-sm @ https://github.com/explosion/spacy-models/releases/download/en_core_web_sm-3.5.0/"
    "en_core_web_sm-3.5.0-py3-none-any.whl"
    "#sha256=0964370218b7e1672a30ac50d72cdc6b16f7c867496f1d60925691188f4d2510"
)

#: As in benchmarks/judges/detectors/detectron.py.
DETECTRON2 = "git+https://github.com/facebookresearch/detectron2.git@02b5c4e2"

#: What ``nox -s geneval``, ``dpg``, ``t2i_compbench`` and ``fidelity`` ask for where the arguments after
#: ``--`` do not. The ceiling comes first, because a gate (``--min-overall``) looks at the last stage given.
EMBEDDED = {
    "--protocol": ["tabletop"],
    "--suite": ["quick"],
    "--model": ["tabletop-truth:autoencoder", "embedded"],
}


@nox.session(reuse_venv=True, default=False)
def project(session: nox.Session) -> None:
    """Install the project with all that tests, types and docs need, in the environment that is shared."""
    groups = nox.project.dependency_groups(PYPROJECT, "test", "types", "docs")
    session.install("-c", CONSTRAINTS, "-e", ".", *groups, env=PINNED_BUILD)


@nox.session(venv_backend="none", requires=["project"])
def tests(session: nox.Session) -> None:
    """Run the tests, on several cores; arguments go to pytest."""
    processes = min(cores(), MOST_TEST_PROCESSES)
    # One thread each: many processes whose threads wait for each other are ten times slower.
    session.env["OMP_NUM_THREADS"] = "1"
    # Neighbours stay together, so that what a file sets up is set up once; who is done takes from the others.
    words = (f"-n{processes}", "--dist=worksteal")
    run_in_project(session, "python", "-m", "pytest", *words, *session.posargs)


@nox.session(venv_backend="none", requires=["project"])
def types(session: nox.Session) -> None:
    """Check the types; arguments go to mypy."""
    run_in_project(session, "mypy", *session.posargs)


@nox.session(venv_backend="none", requires=["project"])
def docs(session: nox.Session) -> None:
    """Build the documentation into site/; arguments go to mkdocs instead: ``nox -s docs -- serve``."""
    # What the theme and a plugin have to say about the future of mkdocs; the versions here are pinned.
    session.env.update(NO_MKDOCS_2_WARNING="1", DISABLE_MKDOCS_2_WARNING="true")
    run_in_project(session, "mkdocs", *(session.posargs or ("build", "--strict")))


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check style and format. ``nox -s lint -- --fix`` mends what can be mended."""
    session.install("-c", CONSTRAINTS, *nox.project.dependency_groups(PYPROJECT, "lint"))
    mend = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if mend else []), ".")
    session.run("ruff", "format", *([] if mend else ["--check"]), ".")


@nox.session(venv_backend="none", requires=["project"], default=False)
def geneval(session: nox.Session) -> None:
    """Score the embedded stages on GenEval; arguments go to ``lumina-eval run`` and win over the defaults."""
    run_benchmark(session, "geneval")


@nox.session(venv_backend="none", requires=["project"], default=False)
def dpg(session: nox.Session) -> None:
    """Score the embedded stages on DPG-Bench; arguments as for ``geneval``."""
    run_benchmark(session, "dpg")


@nox.session(venv_backend="none", requires=["project"], default=False)
def t2i_compbench(session: nox.Session) -> None:
    """Score the embedded stages on T2I-CompBench; arguments as for ``geneval``."""
    run_benchmark(session, "t2i_compbench")


@nox.session(venv_backend="none", requires=["project"], default=False)
def fidelity(session: nox.Session) -> None:
    """Score the embedded stages on fidelity (FID and its kin); arguments as for ``geneval``."""
    run_benchmark(session, "fidelity")


@nox.session(venv_backend="none", requires=["project"], default=False)
def arena(session: nox.Session) -> None:
    """Let the embedded stages meet where the analytic judge votes; arguments go to ``arena rate``.

    Images and verdicts are those of ``geneval``; what is there is not made again.
    """
    run = ("run", "geneval", "--protocol", "tabletop", "--suite", "quick", "--model", "embedded", "--json")
    found = run_in_project(session, "lumina-eval", *run, "--no-report", silent=True, stderr=None)
    runs = [json.loads(line)["run_dir"] for line in found.splitlines()]
    votes = "lumina-runs/arena-votes.jsonl"
    run_in_project(session, "lumina-eval", "arena", "tabletop", *runs, "--out", votes)
    run_in_project(session, "lumina-eval", "arena", "rate", votes, *session.posargs)


@nox.session(venv_backend="none", requires=["project"], default=False)
def efficiency(session: nox.Session) -> None:
    """Measure the chain of savings on the last embedded stage; arguments go to ``efficiency chain``."""
    defaults = {"--limit": ["8"], "--repeats": ["3"]}
    run_in_project(session, "lumina-eval", "efficiency", "chain", *unless_given(defaults, session.posargs))


@nox.session(python="3.11", reuse_venv=True, default=False)
def parses(session: nox.Session) -> None:
    """Parse prompts for T2I-CompBench with the spaCy of the official scores; arguments: PROMPTS --out FILE.

    It has an environment of its own: this spaCy needs packages older than the project's, and has no wheels
    for a newer Python.
    """
    session.install("spacy==3.5.3", "numpy<2", PARSER_MODEL)
    session.run("python", "benchmarks/t2i_compbench/parse_prompts.py", *session.posargs)


@nox.session(reuse_venv=True, default=False)
def detectron2(session: nox.Session) -> None:
    """Build detectron2 from its pinned source and test the detectors that need it; arguments go to pytest.

    It has an environment of its own: detectron2 has no release, and is compiled against the torch beside it.
    """
    groups = nox.project.dependency_groups(PYPROJECT, "test")
    session.install("-c", CONSTRAINTS, "-e", ".", *groups, "setuptools", "wheel", env=PINNED_BUILD)
    session.install("--no-build-isolation", DETECTRON2)
    files = [f"tests/judges/test_{name}.py" for name in ("detectron", "unidet")]
    session.run("python", "-m", "pytest", *files, *session.posargs)


@nox.session(reuse_venv=True, default=False)
def constraints(session: nox.Session) -> None:
    """Resolve the newest versions of everything for Linux and Windows, and pin them in constraints.txt."""
    session.install("uv")
    pins: set[str] = set()
    for platform in ("linux", "windows"):
        known = Path(session.create_tmp()) / "known.txt"
        known.write_text("\n".join(sorted(pins)))
        found = session.run(
            *("uv", "pip", "compile", "pyproject.toml", "--group", "dev", "--constraint", str(known)),
            *("--python-version", "3.11", "--python-platform", platform, "--no-header", "--no-annotate"),
            silent=True,
            stderr=None,
        )
        pins.update(str(found).split("\n"))
    head = "# The set of versions that is tested; written by `nox -s constraints`.\n"
    (ROOT / CONSTRAINTS).write_text(head + "\n".join(sorted(pins - {""})) + "\n")


def run_benchmark(session: nox.Session, name: str) -> None:
    """Run a benchmark of the harness.

    Exit codes are those of ``lumina-eval``: a gate that failed is no user's mistake. nox itself knows 0 and 1
    only, so here it is left at once.
    """
    try:
        run_in_project(session, "lumina-eval", "run", name, *unless_given(EMBEDDED, session.posargs))
    except CommandFailed as failed:
        sys.exit(getattr(failed, "return_code", None) or 1)  # older nox does not tell the code


def run_in_project(session: nox.Session, program: str, *arguments: str, **how: Any) -> str:
    """Run a program of the shared environment; ``how`` is for ``session.run``, whose answer comes back."""
    folder = session.env_dir.parent / "project" / ("Scripts" if os.name == "nt" else "bin")
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    found = shutil.which(program, path=str(folder))
    if found is None:
        session.error(f"expected {program} in {folder}, found none; fix: nox -s project")
    return str(session.run(found, *arguments, external=True, env={"PATH": path}, **how))


def unless_given(defaults: dict[str, list[str]], arguments: Sequence[str]) -> list[str]:
    """Return the arguments, after those defaults whose option they do not name."""
    given = {argument.partition("=")[0] for argument in arguments}
    wanted = [
        word
        for option, values in defaults.items()
        if option not in given
        for value in values
        for word in (option, value)
    ]
    return [*wanted, *arguments]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
