"""Run folders as one typed view each: metrics and manifest now, the long files when they are asked for."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from lumina_eval import runs
from lumina_eval.errors import UserError, is_user_error
from lumina_eval.files import valid_lines
from lumina_eval.plugins import benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Manifest, Metric, RunResult, Score, Verdict
from lumina_eval.statistics.endpoint import mean_of_categories

#: A model of this name renders the truth: it is the most that the judge can give, not a competitor.
CEILING_MODEL: Final = "tabletop-truth"


@dataclasses.dataclass(frozen=True)
class RunView:
    """One finished run."""

    folder: Path
    manifest: Manifest
    result: RunResult
    score_of: str | None = None
    """Of a measurement of time: what the score beside it is of; filled in by ``reports/worth.py``."""

    @property
    def title(self) -> str:
        """Name for tables, e.g. ``embedded:low_res``."""
        return self.result.title or self.manifest.title or self.manifest.model

    @property
    def is_ceiling(self) -> bool:
        """True for ground-truth renders: a row beside the stages."""
        return self.manifest.model.startswith(CEILING_MODEL)

    @property
    def is_subset(self) -> bool:
        """True if less than the whole protocol was asked."""
        return self.result.subset is not None

    @property
    def protocol(self) -> ResolvedProtocol:
        """The protocol as it was resolved when the run was made."""
        return runs.protocol_of(self.manifest)

    @property
    def store(self) -> Path:
        """The image store that the run was made with."""
        return runs.store_of(self.folder)

    @functools.cached_property
    def items(self) -> Mapping[str, Item]:
        """The prompts that were asked, by id."""
        return {item.id: item for item in runs.read_items(self.folder)}

    @functools.cached_property
    def keys(self) -> Mapping[tuple[str, int], str]:
        """Key in the image store of each image, by (item id, index)."""
        return {(ref.item_id, ref.index): ref.key for ref in runs.read_plan(self.folder)}

    @functools.cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Raw outputs of the judge in plan order."""
        return tuple(runs.read_verdicts(self.folder))

    @functools.cached_property
    def scores(self) -> tuple[Score, ...]:
        """One number for each image."""
        return tuple(runs.read_scores(self.folder))

    @functools.cached_property
    def mean_of_categories(self) -> Metric | None:
        """Their unweighted mean, made of the scores; None where there are no scores or no categories."""
        if not (self.folder / "scores.jsonl").is_file():
            return None
        scores = self.scores
        try:
            return mean_of_categories(self.result, scores)
        except UserError:  # the paired tables say why
            return None

    @functools.cached_property
    def failures(self) -> Mapping[tuple[str, int], tuple[str, str]]:
        """What failed, by (item id, index): the step (``generate`` or ``judge``) and the reason."""
        found = (value for _, value in valid_lines(self.folder / "failures.jsonl"))
        return {(f["item_id"], f["index"]): (str(f["step"]), str(f["reason"])) for f in found}

    @property
    def draw(self) -> Callable[..., Image.Image] | None:
        """The benchmark's ``draw``; a report can do without, so the plug-in may be absent."""
        try:
            return getattr(benchmark(self.manifest.benchmark), "draw", None)
        except Exception as error:
            if not is_user_error(error):
                raise
            return None

    @functools.cached_property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """Lines of the benchmark's official form, as objects."""
        path = self.folder / "results.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
            return tuple(json.loads(line) for line in lines if line)
        except (OSError, ValueError) as error:
            raise UserError(
                f"expected JSON lines, found {error}, in {path}; fix: run the same command again"
            ) from error


def load_run(folder: Path) -> RunView:
    """Read manifest and metrics of one run folder.

    Raises :class:`UserError` if it is no run folder, if the run is not finished, or if a record is broken.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file() and (folder / "runs").is_dir():
        raise UserError(
            f"expected a run folder with manifest.json, found a folder of runs, in {folder}; "
            f"fix: give {folder}/runs/*"
        )
    return RunView(folder, runs.read_manifest(folder), runs.read_result(folder))


def load_runs(folders: Sequence[Path]) -> tuple[RunView, ...]:
    """Read run folders in the order given, each once; an empty list is a :class:`UserError`."""
    if not folders:
        raise UserError("expected at least one run folder, found none; fix: give folders below DIR/runs")
    unique = {Path(folder).resolve(): Path(folder) for folder in folders}
    return tuple(load_run(folder) for folder in unique.values())
