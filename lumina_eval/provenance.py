"""Where and with what a run was made: source, packages, machine. Nothing that is secret or personal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lumina_eval.records import Provenance

#: Distributions whose versions can change a number.
PACKAGES: Final = (
    "lumina-eval",
    "diffusers",
    "mlflow",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pydantic",
    "safetensors",
    "scipy",
    "skia-python",
    "tokenizers",
    "torch",
    "transformers",
)


def provenance(distributions: Iterable[str] = ()) -> Provenance:
    """Describe this process; ``distributions`` are those of the plug-ins that took part."""
    sha, dirty = git_state(Path(__file__).parent)
    return Provenance(
        git_sha=sha,
        git_dirty=dirty,
        packages=package_versions([*PACKAGES, *distributions]),
        hardware=hardware(),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
    )


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return commit and dirty flag of the repository that ``folder`` belongs to."""
    sha = _git(folder, "rev-parse", "HEAD")
    # an environment inside a repository is not that repository's content
    if sha is None or _git(folder, "check-ignore", "-q", str(folder)) is not None:
        return None, None
    status = _git(folder, "status", "--porcelain")
    return sha, None if status is None else bool(status)


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of ``names``, sorted; those not installed are left out."""
    versions = {}
    for name in sorted(set(names)):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory (GiB), and the accelerators that torch sees, if it was loaded."""
    found: dict[str, Any] = {"processor": _processor(), "cores": _cores()}
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory_gib"] = round(pages / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        found["memory_gib"] = None
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch_threads"] = torch.get_num_threads()
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        found["accelerators"] = [torch.cuda.get_device_name(index) for index in range(count)]
    return found


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
