"""SIGKILL while the embedded model draws, and again while it is judged: the same bytes in the end.

Where it dies is chosen, so that it always dies there: after an image is written and before its record is, and
between two batches of verdicts. What a write leaves that is cut off in the middle (half a line of verdicts,
half an image) is laid into a run by ``tests/lumina_eval/test_kill.py``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import forked_commands
import pytest

#: Six prompts in batches of two; few steps, since what is drawn matters less than that it is drawn alike.
COMMAND = (
    "run geneval --protocol tabletop --limit 1 --images-per-prompt 1 --batch-size 2 --model embedded:low_res "
    "--option steps=6 --device cpu --no-mlflow --no-report --out"
)


def run(out: Path, dies: forked_commands.Death | None = None) -> int:
    return forked_commands.run([*COMMAND.split(), str(out)], out.with_suffix(".log"), dies)


def records(out: Path) -> dict[str, bytes]:
    """All that does not tell the time or the place of its making."""
    names = ("verdicts.jsonl", "results.jsonl", "scores.jsonl", "metrics.json", "summary.txt")
    kept = {path.relative_to(out).as_posix(): path.read_bytes() for name in names for path in out.rglob(name)}
    assert len(kept) == len(names)
    return kept | {path.name: path.read_bytes() for path in out.rglob("*.png")}


def stamps(out: Path) -> dict[str, int]:
    """Images with a record beside them (the others were cut off), and when each was written."""
    whole = (path for path in out.rglob("*.png") if path.with_suffix(".json").is_file())
    return {path.name: path.stat().st_mtime_ns for path in whole}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(whole) == 0, whole.with_suffix(".log").read_text()
    assert len(stamps(whole)) == 6

    # The store writes an image and its record in turn: the fourth image is left without its record.
    assert run(cut, ("lumina_eval.store", "write_atomic", 8)) == -signal.SIGKILL
    drawn = stamps(cut)
    assert len(drawn) == 3
    assert len(list(cut.rglob("*.png"))) == 4

    # Verdicts are written batch by batch: those of the first alone are left.
    assert run(cut, ("lumina_eval.judging", "append_lines", 2)) == -signal.SIGKILL
    (journal,) = cut.rglob("verdicts.jsonl")
    assert len(journal.read_text().splitlines()) == 2
    assert len(stamps(cut)) == 6

    assert run(cut) == 0, cut.with_suffix(".log").read_text()
    assert records(cut) == records(whole)
    kept = {name: at for name, at in stamps(cut).items() if name in drawn}
    assert kept == drawn, "an image was drawn again"
