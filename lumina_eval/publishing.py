"""After the runs: reports, and MLflow. Whatever fails here is a warning; the run folders are the truth."""

from __future__ import annotations

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from lumina_eval import plugins
from lumina_eval.errors import is_user_error
from lumina_eval.mosaic import MAX_SAMPLES, Sample
from lumina_eval.records import ImageRef
from lumina_eval.runs import (
    SOURCE,
    RunFolder,
    protocol_of,
    read_items,
    read_manifest,
    read_plan,
    read_verdicts,
    store_of,
)
from lumina_eval.store import ImageStore
from lumina_eval.tracking import sending
from lumina_eval.tracking.address import resolve_uri, ui_command


@dataclasses.dataclass(frozen=True)
class Published:
    """What was written, and what could not be."""

    reports: tuple[Path, ...]
    ui_line: str | None
    warnings: tuple[str, ...]

    def places(self, run_dirs: Sequence[Path]) -> Iterator[str]:
        """Say where runs, pages for people and MLflow are, a line each."""
        yield from (f"run     {run_dir}" for run_dir in run_dirs)
        yield from (f"report  {path}" for path in self.reports if path.suffix in (".html", ".md"))
        if self.ui_line:
            yield f"MLflow  {self.ui_line}"


def write_reports(
    run_dirs: Sequence[Path], out: Path, store: Path, gallery: int | None = None
) -> tuple[list[Path], list[str]]:
    """Let every reporter write its files into ``out``; return the files, and what failed.

    ``gallery`` is the number of images a checkpoint, 0 for all, for reporters that take one.
    """
    files: list[Path] = []
    warnings = []
    for name in plugins.available("reporters"):
        try:
            reporter = plugins.load("reporters", name)
            asks = gallery is not None and "gallery" in inspect.signature(reporter).parameters
            files += reporter(list(run_dirs), out, store, **({"gallery": gallery} if asks else {}))
        except Exception as error:
            text = str(error) if is_user_error(error) else f"{type(error).__name__}: {error}"
            warnings.append(f"report {name} was not written: {text}")
    return files, warnings


def publish(
    run_dirs: Sequence[Path], out: Path, store: Path, report: bool, mlflow: bool, uri: str | None
) -> Published:
    """Send the runs to MLflow and note the ids in the manifests, write the reports and send them as well."""
    line, unsent = send(run_dirs, [], out, uri) if mlflow else (None, [])
    files, warnings = write_reports(run_dirs, out / "report", store) if report else ([], [])
    if mlflow and files and not unsent:
        line, unsent = send(run_dirs, files, out, uri)
    return Published(tuple(files), line, (*warnings, *unsent))


def send(
    run_dirs: Sequence[Path], reports: Sequence[Path], out: Path, uri: str | None
) -> tuple[str | None, list[str]]:
    """Send runs and report files to MLflow and note the ids in the manifests.

    Returns the line that shows them, None if the store is away, and what was not sent.
    """
    try:
        sent = sending.log_runs(run_dirs, uri, out, reports=reports, samples=samples)
        line = ui_command(resolve_uri(uri, out))
    except Exception as error:  # a tracker that is away or broken loses no run
        return None, [f"not sent to MLflow: {type(error).__name__}: {error}"]
    for run in sent:
        if run.run_id is None or (run.run_dir / SOURCE).exists():
            continue
        manifest = read_manifest(run.run_dir)
        if manifest.mlflow_run_id != run.run_id:
            RunFolder(run.run_dir).write_manifest(manifest.model_copy(update={"mlflow_run_id": run.run_id}))
    return line, [run.warning for run in sent if run.warning]


def samples(run_dir: Path) -> list[Sample]:
    """Choose images to show: one prompt of each task after the other, first images first."""
    manifest, store = read_manifest(run_dir), ImageStore(store_of(run_dir))
    items = {item.id: item for item in read_items(run_dir)}
    verdicts = {(verdict.item_id, verdict.index): verdict for verdict in read_verdicts(run_dir)}
    draw = getattr(plugins.benchmark(manifest.benchmark), "draw", None)
    chosen = []
    for ref in _one_of_each_task(read_plan(run_dir), {item.id: item.task for item in items.values()}):
        stored, item = store.read(ref.key), items[ref.item_id]
        verdict = verdicts.get((ref.item_id, ref.index))
        if stored is None:
            continue
        seen: Image.Image | None = None
        if draw is not None and verdict is not None:
            seen = draw(stored.image, item, verdict, protocol_of(manifest))
        chosen.append(Sample(item.prompt, stored.image, seen))
    return chosen


def _one_of_each_task(refs: Sequence[ImageRef], task_of: dict[str, str]) -> list[ImageRef]:
    tasks: defaultdict[str, list[ImageRef]] = defaultdict(list)
    for ref in sorted(refs, key=lambda ref: ref.index):
        tasks[task_of[ref.item_id]].append(ref)
    rounds = max((len(found) for found in tasks.values()), default=0)
    turns = [found[place] for place in range(rounds) for found in tasks.values() if place < len(found)]
    return turns[:MAX_SAMPLES]
