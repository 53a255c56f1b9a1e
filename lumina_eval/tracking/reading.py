"""Run folders read back from MLflow: the records as they were sent, checked by their digest, whole or absent.

Images are not in MLflow. A run that came back bears a ``source.json`` that says where from, so that a report
can say why it shows none.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lumina_eval.digests import canonical_json
from lumina_eval.errors import UserError, nearest
from lumina_eval.files import make_folder, write_atomic
from lumina_eval.runs import SOURCE, read_manifest
from lumina_eval.tracking.address import reason, shown_uri, ui_command
from lumina_eval.tracking.connection import connect
from lumina_eval.tracking.projection import COMPLETE, EXPERIMENTS
from lumina_eval.tracking.record_files import DIGEST_TAG, NEEDED, RECORDS, TIMINGS, records_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: Runs that are asked for at once.
_PAGE: Final = 200


@dataclass(frozen=True)
class ReadBack:
    """Run folders by name, and what was passed over with the reason."""

    run_dirs: tuple[Path, ...]
    passed_over: tuple[str, ...]


def read_back(experiments: Sequence[str], uri: str, out: Path) -> ReadBack:
    """Bring the finished runs of experiments into ``out/runs``; what is there already stays as it is.

    ``experiments`` are names, with or without ``lumina-eval/``. Of several records of one run the one that
    was sent last is taken. Raises UserError if the store is away, if there is no such experiment, or if none
    of its runs has records.
    """
    try:
        client = connect(uri, make=False)
        ids = {name: _experiment_id(client, name, uri) for name in experiments}
        found = {name: list(_runs(client, experiment)) for name, experiment in ids.items()}
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"expected an MLflow store at {shown_uri(uri)}, found none that answers: {reason(error, uri)}; "
            "fix: --tracking-uri, or start it"
        ) from error
    folders, told = [], []
    for name, runs in found.items():
        chosen, passed = _choose(runs)
        told += [f"{name}: {text}" for text in passed]
        for run in chosen:
            try:
                folders.append(_bring(client, run, uri, make_folder(out / "runs")))
            except UserError as error:
                told.append(f"{name}: {error}")
            except Exception as error:  # one run whose files are gone keeps back no other
                told.append(f"{name}: {_name(run)} could not be read: {reason(error, uri)}")
    if not folders:
        said = "".join(f"\n  {text}" for text in told) or " no run at all"
        names = " and ".join(experiments)
        raise UserError(
            f"expected runs with records in {names} at {shown_uri(uri)}, found none:{said}"
            f"\nfix: lumina-eval sync where the run folders are; to look: {ui_command(uri)}"
        )
    return ReadBack(tuple(sorted(dict.fromkeys(folders))), tuple(told))


def _experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    for spelling in (name, f"{EXPERIMENTS}{name}"):
        known = client.get_experiment_by_name(spelling)
        if known is not None and known.lifecycle_stage == "active":
            return str(known.experiment_id)
    names = [experiment.name for experiment in client.search_experiments()]
    raise UserError(f"unknown experiment {name!r} at {shown_uri(uri)}; {nearest(name, _spellings(names))}")


def _spellings(names: Sequence[str]) -> list[str]:
    return [name.removeprefix(EXPERIMENTS) for name in names]


def _runs(client: MlflowClient, experiment: str) -> Iterator[Run]:
    """Yield all active runs, page by page."""
    token: str | None = None
    while True:
        page = client.search_runs([experiment], max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _choose(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Part runs with records from the others, which are named; the runs that only group others are not."""
    newest: dict[str, Run] = {}
    told = []
    for run in sorted(runs, key=lambda run: (run.data.tags.get("lumina.sent", ""), run.info.run_id)):
        tags = run.data.tags
        digest = tags.get("lumina.run_digest")
        if digest is None:
            if "lumina.run_key" not in tags:
                told.append(f"{_name(run)} is none of lumina-eval's")
        elif tags.get(COMPLETE) != "true":
            told.append(f"{_name(run)} was not sent whole; fix: lumina-eval sync where its run folder is")
        elif DIGEST_TAG not in tags:
            told.append(
                f"{_name(run)} was sent by an older version, without all of its records; "
                "fix: lumina-eval sync where its run folder is"
            )
        else:
            if digest in newest:
                told.append(f"{_name(newest[digest])} is an older record of a run that was sent again")
            newest[digest] = run
    return list(newest.values()), told


def _name(run: Run) -> str:
    return f"run {run.info.run_name} ({run.info.run_id[:8]})"


def _bring(client: MlflowClient, run: Run, uri: str, folder: Path) -> Path:
    """Return the run folder of a run, fetched beside its place and moved there when it is whole."""
    expected, run_id = str(run.data.tags[DIGEST_TAG]), str(run.data.tags["lumina.run_id"])
    if not re.fullmatch(r"\w[\w.-]*", run_id):  # it becomes the name of a folder
        raise UserError(f"{_name(run)} has the impossible id {run_id!r}")
    place = folder / run_id
    if place.is_dir() and records_digest(place) == expected:
        return place
    if place.exists() and not (place / SOURCE).is_file():
        raise UserError(f"{_name(run)} would take the place of a run made here, {place}; fix: --into DIR")
    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=folder) as aside:
        fresh = Path(aside) / "run"
        fresh.mkdir()
        there = {file.path for file in client.list_artifacts(run.info.run_id)}
        for name in (*RECORDS, TIMINGS):
            if name in there:
                client.download_artifacts(run.info.run_id, name, str(fresh))
        missing = [name for name in NEEDED if name not in there]
        if missing or records_digest(fresh) != expected:
            what = f"without {', '.join(missing)}" if missing else "that are not those that were sent"
            raise UserError(f"{_name(run)} has records {what}; fix: lumina-eval sync where its folder is")
        if read_manifest(fresh).run_id != run_id:
            raise UserError(f"{_name(run)} has the manifest of another run, {read_manifest(fresh).run_id}")
        source = {"schema": 1, "mlflow": shown_uri(uri), "mlflow_run_id": run.info.run_id}
        write_atomic(fresh / SOURCE, f"{canonical_json(source)}\n".encode())
        if place.exists():
            place.rename(Path(aside) / "before")
        shutil.move(fresh, place)
    return place
