"""The command that makes a run again, by its manifest; it goes on from the images and verdicts there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

from lumina_eval.records import Manifest

#: Options that say where things lie or what is told, and change no number; with and without a value.
PLACES: Final = ("--out", "--store", "--tracking-uri")
TELLING: Final = ("--mlflow", "--no-mlflow", "--report", "--no-report", "--json")
#: How a subset of so many prompts of each task is called in a record.
LIMITED: Final = re.compile(r"(\d+) per task")
#: The image store of a run folder, where none was named.
USUAL_STORE: Final = "../../images"


def command_of(manifest: Manifest) -> str:
    """Return the command line that makes the run again, without places; made up where none is known."""
    words = list(manifest.argv[1:])
    if not words:
        words = ["run", manifest.benchmark, "--protocol", manifest.protocol, "--model", manifest.title]
        words += ["--suite", manifest.suite] if manifest.suite else []
        if limited := LIMITED.match(manifest.subset or ""):
            words += ["--limit", limited[1]]
        words += [word for change in manifest.changed for word in ("--set", change)]
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in TELLING or word.partition("=")[0] in PLACES:
            skip = not skip and word in PLACES
            continue
        kept.append(word)
    return shlex.join(["lumina-eval", *kept])


def command_in_place(manifest: Manifest, run_dir: Path) -> str | None:
    """Return the command line that makes the run again in its own folder; None where it does not lie in
    ``OUT/runs``, where commands look for it."""
    if run_dir.parent.name != "runs":
        return None
    places = ["--out", str(run_dir.parent.parent)]
    if manifest.store not in (None, USUAL_STORE):
        places += ["--store", str((run_dir / manifest.store).resolve())]
    return f"{command_of(manifest)} {shlex.join(places)}"
