"""The record files of a run as MLflow keeps them: which they are, and one digest over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lumina_eval.digests import digest_of, sha256_file

#: What is sent of a run folder where it is there: all that a report reads.
RECORDS: Final = (
    "manifest.json", "metrics.json", "items.jsonl", "plan.jsonl", "verdicts.jsonl", "scores.jsonl",
    "results.jsonl", "rewritten.jsonl", "failures.jsonl", "summary.txt",
)  # fmt: skip
#: Sent beside them for what an image cost. It is in no digest: it grows whenever the run is started again.
TIMINGS: Final = "timings.jsonl"
#: Without these there is no report of a run.
NEEDED: Final = ("manifest.json", "metrics.json", "items.jsonl", "verdicts.jsonl", "scores.jsonl")
#: The tag that says which bytes were sent; a run without it was sent by a version that sent fewer files.
DIGEST_TAG: Final = "lumina.records_sha256"


def record_files(run_dir: Path) -> Iterator[Path]:
    """Yield the record files that are in a run folder."""
    yield from (run_dir / name for name in RECORDS if (run_dir / name).is_file())


def records_digest(run_dir: Path) -> str:
    """Return one sha256 over names and contents of the record files of a run folder."""
    return digest_of({path.name: sha256_file(path) for path in record_files(run_dir)})
