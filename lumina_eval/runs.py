"""Run folders: the records of one checkpoint on one protocol.

``DIR/runs/<benchmark>-<protocol>-<model>-<stage>-<digest12>/`` holds

- ``manifest.json``: what is needed to make the run again, with times and the MLflow id;
- ``items.jsonl`` and ``plan.jsonl``: the prompts, and seed and key of every image;
- ``verdicts.jsonl``, ``results.jsonl``, ``scores.jsonl``, ``metrics.json``: what was found; ``summary.txt``
  too where the official script of the benchmark prints one;
- ``rewritten.jsonl`` where the model was given other texts than the prompts: both of them, line by line;
- ``timings.jsonl``: one line for each batch made or judged; ``failures.jsonl`` if anything failed.

The id comes from content: the same command finds the same folder and goes on. Times and ids of other systems
stand in manifest and timings alone, so that all other files are the same bytes each time.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from lumina_eval.digests import canonical_json, digest_of
from lumina_eval.errors import UserError
from lumina_eval.files import append_lines, valid_lines, write_atomic, write_lines
from lumina_eval.migrations import parsed
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import (
    Aggregate,
    ImageRef,
    Item,
    Manifest,
    Record,
    RunResult,
    Score,
    Seconds,
    Verdict,
)
from lumina_eval.rerun import SOURCE as SOURCE
from lumina_eval.rerun import command_in_place
from lumina_eval.rerun import read_back_from as read_back_from
from lumina_eval.timed import holds_times

DEFAULT_OUT: Final = Path("lumina-runs")
#: How a broken record is mended, where the run's command is not known.
AGAIN: Final = "run the same command again, it goes on from what is whole"
R = TypeVar("R", bound=Record)


def run_id(identity: Mapping[str, Any], benchmark: str, protocol: str, model: str, stage: str | None) -> str:
    """Return the folder name; ``identity`` is all that can change a byte of the results."""
    words = [re.sub(r"[^A-Za-z0-9._-]+", "_", word) for word in (benchmark, protocol, model, stage or "none")]
    return "-".join([*words, digest_of(identity)[:12]])


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verdicts_path = path / "verdicts.jsonl"
        self._last = time.monotonic()

    def begin(
        self, manifest: Manifest, items: Sequence[Item], refs: Sequence[ImageRef], made: bool = False
    ) -> Manifest:
        """Write manifest and plan; a run that was begun before keeps its times and its MLflow id.

        Where all images were ``made`` before it also keeps the batch size that it was begun with.
        """
        before = _manifest_if_whole(self.path)
        if before is not None and before.run_digest == manifest.run_digest:
            names = ["started", "finished", "mlflow_run_id", "seconds"]
            names += ["batch_size", "batch_size_found"] if made else []
            manifest = manifest.model_copy(update={name: getattr(before, name) for name in names})
        self.write_manifest(manifest)
        write_lines(self.path / "items.jsonl", [item.model_dump_json() for item in items])
        write_lines(self.path / "plan.jsonl", [ref.model_dump_json() for ref in refs])
        self._last = time.monotonic()
        return manifest

    def finish(self, result: RunResult, aggregate: Aggregate, failures: Sequence[Mapping[str, Any]]) -> None:
        """Write what was found; ``metrics.json`` comes last and says that the run is whole."""
        write_lines(self.path / "results.jsonl", aggregate.results)
        if aggregate.summary:
            write_atomic(self.path / "summary.txt", aggregate.summary.encode())
        write_lines(self.path / "scores.jsonl", [score.model_dump_json() for score in aggregate.scores])
        if failures:
            write_lines(self.path / "failures.jsonl", [canonical_json(failure) for failure in failures])
        else:
            (self.path / "failures.jsonl").unlink(missing_ok=True)
        write_atomic(self.path / "metrics.json", f"{result.model_dump_json(indent=2)}\n".encode())

    def write_manifest(self, manifest: Manifest) -> None:
        """Write ``manifest.json`` anew."""
        write_atomic(self.path / "manifest.json", f"{manifest.model_dump_json(indent=2)}\n".encode())

    def tick(self, step: str, images: int) -> None:
        """Note that ``images`` are done, in the time since the last tick."""
        moment = time.monotonic()
        line = {"step": step, "images": images, "seconds": round(moment - self._last, 4)}
        append_lines(self.path / "timings.jsonl", [canonical_json(line)])
        self._last = moment

    def start_clock(self) -> None:
        """Count the next tick from now."""
        self._last = time.monotonic()

    def seconds(self) -> Seconds:
        """Return the time spent on this run, over all of its starts."""
        spent: dict[str, float] = {}
        for _, value in valid_lines(self.path / "timings.jsonl"):
            spent[value["step"]] = spent.get(value["step"], 0.0) + value["seconds"]
        return Seconds(**{step: round(total, 3) for step, total in spent.items()})


def find_runs(out: Path) -> list[Path]:
    """Return the folders of finished runs below ``out``, sorted by name."""
    return sorted(path.parent for path in out.glob("runs/*/metrics.json"))


def read_manifest(run_dir: Path) -> Manifest:
    """Return the manifest of a run folder."""
    return _read(run_dir / "manifest.json", Manifest, AGAIN)


def read_result(run_dir: Path) -> RunResult:
    """Return the metrics of a run folder, with times, folder and MLflow id filled in."""
    manifest = read_manifest(run_dir)
    result = _read(run_dir / "metrics.json", RunResult, _again(run_dir, manifest))
    return result.model_copy(
        update={
            "run_dir": str(run_dir),
            "seconds": manifest.seconds,
            "mlflow_run_id": manifest.mlflow_run_id,
        }
    )


def read_items(run_dir: Path) -> list[Item]:
    """Return the prompts of a run in official order."""
    return _read_lines(run_dir / "items.jsonl", Item)


def read_plan(run_dir: Path) -> list[ImageRef]:
    """Return the planned images of a run in plan order."""
    return _read_lines(run_dir / "plan.jsonl", ImageRef)


def read_verdicts(run_dir: Path) -> list[Verdict]:
    """Return the verdicts of a run in plan order."""
    return _read_lines(run_dir / "verdicts.jsonl", Verdict)


def read_scores(run_dir: Path) -> list[Score]:
    """Return the scores of a run in plan order."""
    return _read_lines(run_dir / "scores.jsonl", Score)


def protocol_of(manifest: Manifest) -> ResolvedProtocol:
    """Return the protocol as it was resolved when the run was made."""
    return ResolvedProtocol(manifest.protocol, manifest.protocol_values, tuple(manifest.changed))


def store_of(run_dir: Path) -> Path:
    """Return the image store of a run."""
    store = read_manifest(run_dir).store
    return (run_dir / store).resolve() if store else run_dir.parent.parent / "images"


def _read(path: Path, kind: type[R], fix: str) -> R:
    if not path.parent.is_dir():
        raise UserError(f"no run folder {path.parent}; fix: see 'lumina-eval list runs'")
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; fix: {fix}") from error
    except ValueError as error:
        raise UserError(
            f"expected a {kind.__name__} as JSON, found {_broken(error)}, in {path}; fix: {fix}"
        ) from error
    return parsed(value, kind, path, fix)


def _read_lines(path: Path, kind: type[R]) -> list[R]:
    try:
        return _parsed_lines(path, kind)
    except UserError as error:
        fix = _again(path.parent, _manifest_if_whole(path.parent))
        raise UserError(f"{error}; fix: {fix}") from error


def _parsed_lines(path: Path, kind: type[R]) -> list[R]:
    """Return the records of a file of lines; the UserError says what is broken, and no fix."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"expected lines of JSON, found {_broken(error)}, in {path}") from error
    if text and not text.endswith("\n"):
        raise UserError(f"expected a line end, found a line that is cut off, at the end of {path}")
    records = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            records.append(kind.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            said = f"a line with {first['msg']} ({'.'.join(map(str, first['loc']))})"
            raise UserError(f"expected a {kind.__name__}, found {said}, at {path}:{number}") from error
        except ValueError as error:
            raise UserError(
                f"expected a {kind.__name__}, found {_broken(error)}, at {path}:{number}"
            ) from error
    return records


def _again(run_dir: Path, manifest: Manifest | None) -> str:
    """Say how a broken record of a run is mended: by the command that made it, where that is known."""
    command = None if manifest is None else command_in_place(manifest, run_dir)
    if manifest is None or not holds_times(manifest) or read_back_from(run_dir) is not None:
        return AGAIN if command is None else f"{command} (it goes on from what is whole)"
    # A measurement has an id by its times: the same command makes another folder, and this one stays broken.
    again = f"rm -r {shlex.quote(str(run_dir))}, and measure again"
    return again if command is None or not manifest.argv else f"{again}: {command}"


def _manifest_if_whole(run_dir: Path) -> Manifest | None:
    try:
        return Manifest.model_validate_json((run_dir / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None


def _broken(error: ValueError) -> str:
    return "bytes that are no text" if isinstance(error, UnicodeDecodeError) else f"broken JSON ({error})"
