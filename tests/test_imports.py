"""Who may import whom: held by walking the imports of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("lumina_model", "lumina_eval", "benchmarks", "reports")
#: Our packages that each may import, beside itself.
ALLOWED = {
    "lumina_model": set(),
    "lumina_eval": set(),
    "benchmarks": {"lumina_eval", "lumina_model"},
    "reports": {"lumina_eval", "benchmarks"},
}
#: Parts of lumina_eval that are its own.
PRIVATE = ("lumina_eval.cli", "lumina_eval.commands")
#: Heavy packages and the files that may import them.
SOLE = {
    "mlflow": {
        f"lumina_eval/tracking/{name}.py"
        for name in ("checkpoints", "connection", "hierarchy", "reading", "sending")
    },
    "modelscope": {"benchmarks/judges/vqa/mplug.py"},
    "detectron2": {
        f"benchmarks/judges/detectors/{name}.py"
        for name in ("detectron", "detectron_weights", "unidet/network")
    },
}
#: What no command line waits for before it is known what to do.
HEAVY = ("torch", "transformers", "open_clip", "scipy.stats", "pandas", "cv2", "mlflow", "datasets", "altair")
#: The world itself stands on nothing of ours; only what the harness and people call may.
DOORS = {"world/dataset.py", "sight/judge.py", "sight/question_judge.py", "sight/phrase_judge.py"}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of every import of a file, also those within functions."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def sources() -> list[Path]:
    return [path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("package", OURS)
def test_packages_import_only_whom_they_may(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imports(path)
        if (top := name.split(".")[0]) in OURS and top != package and top not in ALLOWED[package]
    ]
    assert not wrong


def test_plug_ins_use_public_modules_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        if path.relative_to(ROOT).parts[0] != "lumina_eval"
        for name in imports(path)
        if any(name == private or name.startswith(f"{private}.") for private in PRIVATE)
    ]
    assert not wrong


@pytest.mark.parametrize("heavy", SOLE)
def test_heavy_packages_have_one_door(heavy: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        for name in imports(path)
        if name.split(".")[0] == heavy
    }
    assert users <= SOLE[heavy]


def test_the_world_and_the_eye_know_nothing_of_models_and_harness() -> None:
    tabletop = ROOT / "benchmarks" / "tabletop"
    files = [path for room in ("world", "sight") for path in sorted((tabletop / room).rglob("*.py"))]
    wrong = [
        f"{path.relative_to(tabletop)}: {name}"
        for path in files
        if path.relative_to(tabletop).as_posix() not in DOORS
        for name in imports(path)
        if name.split(".")[0] in ("lumina_model", "lumina_eval", "torch")
    ]
    assert len(files) > 15
    assert not wrong


def test_the_rooms_of_tabletop_look_one_way() -> None:
    """The eye looks at the world, the trial at both; nothing looks back."""
    rooms = ["world", "sight", "trial"]
    later = {
        room: tuple(f"benchmarks.tabletop.{name}" for name in rooms[i + 1 :]) for i, room in enumerate(rooms)
    }
    wrong = [
        f"{path.name}: {name}"
        for room in rooms
        for path in (ROOT / "benchmarks" / "tabletop" / room).rglob("*.py")
        for name in imports(path)
        if name.startswith(later[room])
    ]
    assert not wrong


def test_the_walk_sees_imports_in_functions_and_relative_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lumina_eval" / "models" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text("from . import a\nfrom ..b import c\ndef f():\n    import mlflow.entities\n")
    monkeypatch.setitem(imports.__globals__, "ROOT", tmp_path)
    assert set(imports(path)) == {"lumina_eval.models.a", "lumina_eval.b.c", "mlflow.entities"}


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = ("mlflow", "torch", "diffusers", "transformers")
    code = f"import lumina_eval.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    [
        "lumina_eval.cli",
        "benchmarks.arena.cli",
        "benchmarks.efficiency.cli",
        "benchmarks.judges.cli",
        "benchmarks.tabletop.cli",
        "benchmarks.geneval.adapter",
        "benchmarks.dpg.adapter",
        "benchmarks.t2i_compbench.adapter",
        "benchmarks.fidelity.adapter",
    ],
)
def test_help_and_mistakes_wait_for_nothing_heavy(module: str) -> None:
    """What a command line and a plug-in's name import: each of these takes seconds."""
    code = f"import sys, {module}; print(*sorted({{*sys.modules}} & {{*{HEAVY!r}}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not done.stdout.split()
