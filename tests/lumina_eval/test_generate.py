"""``generate``: the images of a run, whole or in parts, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli


def test_generate_makes_the_images_that_run_then_finds(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    words = ["generate", *run_words[1:-2]]
    assert call(*words, "--json").records[0]["made"] == 12
    images = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").rglob("*.png")}
    assert call(*words, "--json").records[0]["made"] == 0
    assert call(*run_words).code == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").rglob("*.png")} == images


def test_parts_of_several_processes_are_the_images_of_one(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    """The pixels of this model depend on the size of its batch: another cut would show."""
    words = ["generate", *run_words[1:-2], "--batch-size", "5"]
    parts = [tmp_path / name for name in ("one", "other")]
    for place in (1, 0):
        (told,) = call(*words, "--out", parts[0], "--shard", f"{place}/2", "--json").records
        assert (told["shard"], told["made"]) == (f"{place}/2", told["expected"])
        assert told["expected"] == (7, 5)[place]  # batches of 5, 5 and 2
    assert call(*words, "--out", parts[0], "--json").records[0]["made"] == 0
    assert call(*words, "--out", parts[1], "--json").records[0] == {
        **told, "made": 12, "expected": 12, "shard": None, "store": str(parts[1] / "images"),
    }  # fmt: skip
    one, other = ({p.name: p.read_bytes() for p in part.rglob("*.png")} for part in parts)
    assert len(one) == 12
    assert one == other


def test_a_dry_run_of_a_part_counts_its_images(call: Cli, run_words: list[Any]) -> None:
    words = ["generate", *run_words[1:-2], "--batch-size", "5", "--dry-run", "--json"]
    assert [call(*words, "--shard", f"{i}/3").records[0]["missing"] for i in range(3)] == [5, 5, 2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard", "2/2"], "with I from 0 to N - 1, found '2/2'"),
        (["--shard", "1"], "with I from 0 to N - 1"),
        (["--shard", "-1/2"], "with I from 0 to N - 1"),
        (["--shard", "a/b"], "with I from 0 to N - 1"),
        (["--shard", "0/2", "--batch-size", "auto"], "a number for --batch-size beside --shard"),
    ],
)
def test_parts_that_are_none_are_told(call: Cli, run_words: list[Any], words: list[str], told: str) -> None:
    done = call("generate", *run_words[1:-2], *words)
    assert done.code == 2
    assert told in " ".join(done.stderr.split())
