"""What a run needs, looked at before it is needed."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path
from typing import Final, Literal

from lumina_eval import plugins
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder
from lumina_eval.provenance import PACKAGES, git_state, hardware
from lumina_eval.records import Record

#: Less free disk than this is worth a warning, in GiB.
LITTLE_DISK: Final = 2.0
GROUPS: Final[tuple[plugins.Group, ...]] = (
    "models", "benchmarks", "judges", "reporters", "commands", "tables", "figures",
)  # fmt: skip


class Finding(Record):
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "warning", "broken"]
    found: str
    fix: str | None = None


def examine(out: Path) -> list[Finding]:
    """Look at Python, packages, plug-ins, device, source and disk; nothing is changed, nothing downloaded."""
    return [_python(), *_packages(), *_plugins(), _device(), _source(), *_disk(out)]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    fix = None if good else "use Python 3.11 or newer"
    return Finding(what="python", state="ok" if good else "broken", found=platform.python_version(), fix=fix)


def _packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            fix = f"pip install {name}"
            findings.append(Finding(what=f"package {name}", state="broken", found="not installed", fix=fix))
        else:
            findings.append(Finding(what=f"package {name}", state="ok", found=version))
    return findings


def _plugins() -> list[Finding]:
    findings = []
    for group in GROUPS:
        for name, plugin in plugins.available(group).items():
            what = f"{group[:-1]} {name}"
            try:
                plugins.load(group, name)
            except UserError as error:
                fix = f"reinstall {plugin.distribution.split(' ')[0]}"
                findings.append(Finding(what=what, state="warning", found=str(error), fix=fix))
            else:
                findings.append(Finding(what=what, state="ok", found=plugin.target))
    return findings


def _device() -> Finding:
    try:
        import torch  # noqa: F401  (hardware() reports what torch sees)
    except ImportError as error:
        return Finding(what="device", state="broken", found=str(error), fix="pip install torch")
    machine = hardware()
    cards = ", ".join(machine.get("accelerators", [])) or "no accelerator"
    return Finding(
        what="device", state="ok", found=f"{machine['processor']}, {machine['cores']} cores, {cards}"
    )


def _source() -> Finding:
    sha, dirty = git_state(Path(__file__).parent)
    if sha is None:
        return Finding(what="source", state="warning", found="no git repository: runs carry no commit")
    return Finding(what="source", state="ok", found=f"{sha}{' with changes' if dirty else ''}")


def _disk(out: Path) -> list[Finding]:
    existing = next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    state: Literal["ok", "warning"] = "ok" if free >= LITTLE_DISK else "warning"
    fix = None if state == "ok" else "free some space, or take another --out"
    findings = [Finding(what="disk", state=state, found=f"{free:.1f} GiB free at {existing}", fix=fix)]
    try:
        make_folder(existing)
    except UserError as error:
        findings.append(Finding(what="folder", state="broken", found=str(error), fix="take another --out"))
    else:
        findings.append(Finding(what="folder", state="ok", found=f"{existing} can be written"))
    return findings
