"""From what a person names to run folders: a folder stands for its finished runs, broken ones are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumina_eval.errors import UserError
from lumina_eval.runs import find_runs, read_items, read_manifest, read_result, read_scores
from lumina_eval.timed import holds_times, refuse_times


def expand(folders: Sequence[Path]) -> list[Path]:
    """Replace each folder that holds ``runs/`` by its finished runs.

    Raises UserError for a place without any.
    """
    found: list[Path] = []
    for folder in folders:
        if (folder / "manifest.json").is_file():
            found.append(folder)
            continue
        inside = find_runs(folder)
        if not inside and not folder.exists():
            raise UserError(
                f"expected a run folder or a folder with runs/, found nothing at {folder}; "
                "fix: name a folder that is there (lumina-eval list runs --out DIR)"
            )
        if not inside:
            raise UserError(
                f"expected a run folder or a folder with runs/, found none at {folder}; "
                "fix: lumina-eval list runs --out DIR"
            )
        found += inside
    return list(dict.fromkeys(found))


def sift(places: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the whole runs of run folders and folders that hold ``runs/``, and why others were left out.

    Raises UserError for a place without any run, and for a broken run that was named itself.
    """
    found: list[Path] = []
    left_out: list[str] = []
    for folder in expand(places):
        try:
            _check_whole(folder)
            found.append(folder)
        except UserError as error:
            if folder in places:
                raise
            left_out.append(str(error))
    return found, left_out


def without_times(
    folders: Sequence[Path], named: Sequence[Path], wanted: str, fix: str
) -> tuple[list[Path], list[str]]:
    """Return the runs among ``folders`` that hold verdicts, and a line for each measurement beside them.

    Raises UserError, with ``wanted`` and ``fix`` as in :func:`refuse_times`, for a measurement that was
    ``named`` itself, and where there is nothing else: only what lies beside other runs was not asked for.
    """
    kept: list[Path] = []
    times: list[Path] = []
    for folder in folders:
        manifest = read_manifest(folder)
        if folder in named:
            refuse_times(manifest, folder, wanted, fix)
        (times if holds_times(manifest) else kept).append(folder)
    if times and not kept:
        refuse_times(read_manifest(times[0]), times[0], wanted, fix)
    return kept, [f"{folder} is a measurement, it holds times and no verdicts" for folder in times]


def _check_whole(folder: Path) -> None:
    """Read what every report reads; the long files are only looked for."""
    read_result(folder)
    read_items(folder)
    read_scores(folder)
    for name in ("plan.jsonl", "verdicts.jsonl", "results.jsonl"):
        if not (folder / name).is_file():
            raise UserError(f"expected {name} in {folder}, found none; fix: run the same command again")
