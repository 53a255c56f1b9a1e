"""SIGKILL while the embedded model draws, and again while it is judged: the same bytes in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def command(out: Path) -> list[str]:
    words = (
        f"-m lumina_eval.cli run geneval --protocol tabletop --limit 1 --model embedded:low_res "
        f"--batch-size 2 --device cpu --no-mlflow --no-report --out {out}"
    )
    return [sys.executable, *words.split()]


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


def kill_when(out: Path, reached: Callable[[], bool], pause: float) -> bool:
    """Run the command and kill it once a state is reached, looked for every ``pause`` seconds.

    Returns False if it ended before.
    """
    process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if reached():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(pause)
    return process.wait() == -signal.SIGKILL


def verdicts(out: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in out.rglob("verdicts.jsonl"))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(whole), check=True, capture_output=True, timeout=600)

    assert kill_when(cut, lambda: len(stamps(cut)) >= 3, pause=0.05)
    drawn = stamps(cut)
    assert 3 <= len(drawn) < len(stamps(whole))

    (run_dir,) = (cut / "runs").iterdir()
    journal = run_dir / "verdicts.jsonl"
    for _ in range(5):  # judging so few images is short: a kill that came too late is tried again
        if kill_when(cut, journal.is_file, pause=0.002):
            break
        journal.unlink()
    assert 0 < verdicts(cut) < verdicts(whole)

    subprocess.run(command(cut), check=True, capture_output=True, timeout=600)
    assert records(cut) == records(whole)
    kept = {name: at for name, at in stamps(cut).items() if name in drawn}
    assert kept == drawn, "an image was drawn again"
