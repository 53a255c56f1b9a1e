"""SIGKILL while the embedded model draws: the same command finishes, and every record has the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(whole), check=True, capture_output=True, timeout=600)

    process = subprocess.Popen(command(cut), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if len(stamps(cut)) >= 3:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    assert process.wait() == -signal.SIGKILL
    before = stamps(cut)
    assert 3 <= len(before) < len(stamps(whole))

    subprocess.run(command(cut), check=True, capture_output=True, timeout=600)
    assert records(cut) == records(whole)
    assert {name: at for name, at in stamps(cut).items() if name in before} == before, (
        "an image was drawn again"
    )
