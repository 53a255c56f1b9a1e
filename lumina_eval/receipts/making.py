"""A receipt of a finished run folder."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, valid_lines, write_atomic
from lumina_eval.receipts.identity import wording_of
from lumina_eval.receipts.places import without_places
from lumina_eval.receipts.record import Packed, Receipt, digest_of_fields, packed
from lumina_eval.rerun import command_of
from lumina_eval.runs import read_items, read_manifest, read_plan, read_result, store_of
from lumina_eval.timed import refuse_times

NAME: Final = "receipt.json"
#: What a receipt can be made of, and where to go with a measurement.
WANTED: Final = "a run whose numbers follow from verdicts"
INSTEAD: Final = "make a receipt of the run that its score comes from; a time is shown by measuring again"


def make_receipt(run_dir: Path, stem: str) -> Receipt:
    """Return the receipt of a run folder; ``stem`` names files beside it, if any are needed.

    Raises UserError if the run is not finished or a file of it is missing.
    """
    manifest, result = read_manifest(run_dir), read_result(run_dir)
    refuse_times(manifest, run_dir, WANTED, INSTEAD)
    for name in ("items.jsonl", "plan.jsonl", "verdicts.jsonl", "scores.jsonl", "results.jsonl"):
        if not (run_dir / name).is_file():
            raise UserError(f"expected {name} in {run_dir}, found none; fix: run the same command again")
    rewritten = run_dir / "rewritten.jsonl"

    def pack(name: str) -> Packed:
        return packed(run_dir / name, f"{stem}{name}")

    argv = [without_places(word) for word in shlex.split(command_of(manifest))]
    told = {
        "checkpoint": None if manifest.checkpoint is None else without_places(manifest.checkpoint),
        "mlflow_run_id": None,
    }
    items, plan, warnings = read_items(run_dir), read_plan(run_dir), map(without_places, result.warnings)
    texts = dict(_rewritten(rewritten)) if rewritten.is_file() else None
    receipt = Receipt(
        manifest=manifest.model_copy(update={**told, "store": None, "argv": argv}),
        result=result.model_copy(update={**told, "run_dir": None, "warnings": list(warnings)}),
        wording=wording_of(manifest, items, plan, texts, store_of(run_dir)),
        command=shlex.join(argv),
        items=pack("items.jsonl"),
        plan=pack("plan.jsonl"),
        verdicts=pack("verdicts.jsonl"),
        rewritten=pack("rewritten.jsonl") if rewritten.is_file() else None,
        scores_sha256=sha256_file(run_dir / "scores.jsonl"),
        results_sha256=sha256_file(run_dir / "results.jsonl"),
        digest="0" * 64,
    )
    return receipt.model_copy(update={"digest": digest_of_fields(receipt.model_dump(mode="json"))})


def _rewritten(path: Path) -> Iterator[tuple[str, str]]:
    for _, value in valid_lines(path):
        yield value["prompt"], value["rewritten"]


def names_file(out: Path) -> bool:
    """Tell whether a place is meant as the receipt itself, and not as a folder of receipts."""
    return out.suffix == ".json" and not out.is_dir()


def write_receipt(run_dir: Path, out: Path | None = None) -> Path:
    """Write ``receipt.json`` into the run folder, or ``RUN.receipt.json`` into ``out``, and return its path.

    An ``out`` that :func:`names_file` is the receipt's own path. Lines that are too many for a receipt are in
    the run folder anyway; the folder of ``out`` gets a copy of them.
    """
    if out is None:
        path, receipt = run_dir / NAME, make_receipt(run_dir, "")
    else:
        stem = f"{run_dir.resolve().name}."
        path = out if names_file(out) else out / f"{stem}{NAME}"
        make_folder(path.parent)
        receipt = make_receipt(run_dir, stem)
        for part in (receipt.items, receipt.plan, receipt.verdicts, receipt.rewritten):
            if part is not None and part.file is not None:
                shutil.copyfile(run_dir / part.file.removeprefix(stem), path.with_name(part.file))
    text = json.dumps(receipt.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_atomic(path, f"{text}\n".encode())
    return path
