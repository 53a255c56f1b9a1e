"""The command that makes a run again, by its manifest; it goes on from the images and verdicts there are."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumina_eval.batch_sizes import is_auto
from lumina_eval.records import Manifest

#: A run folder that was read back from elsewhere says here where from.
SOURCE: Final = "source.json"
#: Options that say where a run and its images lie.
FOLDERS: Final = ("--out", "--store")
#: Options that say who is told, and change no number; with and without a value.
ADDRESS: Final = "--tracking-uri"
TELLING: Final = ("--mlflow", "--no-mlflow", "--report", "--no-report", "--json")
#: The option whose number a model may find by trial.
BATCH_SIZE: Final = "--batch-size"
#: How a subset of so many prompts of each task is called in a record.
LIMITED: Final = re.compile(r"(\d+) per task")
#: The image store of a run folder, where none was named.
USUAL_STORE: Final = "../../images"


def command_of(manifest: Manifest) -> str:
    """Return the command line that makes the run again anywhere; made up where none is known.

    It names no places and nobody who is told. A batch size that was found by trial is written as the number,
    since another machine would find another one.
    """
    words = [word for word in _without(_words(manifest), (*FOLDERS, ADDRESS)) if word not in TELLING]
    if manifest.batch_size_found and manifest.batch_size is not None:
        words = _sized(words, manifest.batch_size)
    return shlex.join(["lumina-eval", *words])


def command_in_place(manifest: Manifest, run_dir: Path) -> str | None:
    """Return the command line that makes the run again in its own folder, and tells whom it told.

    None where it does not lie in ``OUT/runs``, where commands look for it, or was read back from elsewhere,
    where its images still are.
    """
    if run_dir.parent.name != "runs" or read_back_from(run_dir) is not None:
        return None
    places = ["--out", str(run_dir.parent.parent)]
    if manifest.store not in (None, USUAL_STORE):
        places += ["--store", str((run_dir / manifest.store).resolve())]
    return shlex.join(["lumina-eval", *_without(_words(manifest), FOLDERS), *places])


def read_back_from(run_dir: Path) -> str | None:
    """Return the tracking store that a run folder was read back from; None for a run made here."""
    try:
        return str(json.loads((run_dir / SOURCE).read_bytes())["mlflow"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(manifest: Manifest) -> list[str]:
    """Return the words behind ``lumina-eval``."""
    if manifest.argv[1:]:
        return list(manifest.argv[1:])
    words = ["run", manifest.benchmark, "--protocol", manifest.protocol, "--model", manifest.title]
    words += ["--suite", manifest.suite] if manifest.suite else []
    if limited := LIMITED.match(manifest.subset or ""):
        words += ["--limit", limited[1]]
    return words + [word for change in manifest.changed for word in ("--set", change)]


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the words without options and their values."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word.partition("=")[0] in options:
            skip = not skip and word in options
            continue
        kept.append(word)
    return kept


def _sized(words: Sequence[str], size: int) -> list[str]:
    """Return the words with the number in place of ``auto``."""
    sized: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name == BATCH_SIZE and is_auto(value):
            sized.append(f"{BATCH_SIZE}={size}")
        elif sized[-1:] == [BATCH_SIZE] and is_auto(word):
            sized.append(str(size))
        else:
            sized.append(word)
    return sized
