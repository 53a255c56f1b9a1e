"""SIGKILL at any step: the same command finishes, and every record has the same bytes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli
from test_run import bytes_of


@pytest.mark.parametrize("environment", [{"FAKE_MODEL_KILL": "3"}, {"FAKE_JUDGE_KILL": "2"}])
def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(
    process: Cli, call: Cli, run_words: list[Any], tmp_path: Path, environment: dict[str, str]
) -> None:
    words = [*run_words, "--json"]
    killed = process(*words, **environment)
    assert killed.code == -signal.SIGKILL
    assert killed.stdout == ""
    images = list((tmp_path / "out" / "images").rglob("*.png"))
    assert 0 < len(images) <= 12

    # what a kill at a worse moment would have left: an image without its line, half a verdict
    images[0].with_suffix(".json").unlink()
    images[1].write_bytes(images[1].read_bytes()[:-7])
    (run_dir,) = (tmp_path / "out" / "runs").iterdir()
    with (run_dir / "verdicts.jsonl").open("ab") as stream:
        stream.write(b'{"item_id":"00000","ind')

    resumed = process(*words)
    undisturbed = call(*words, "--out", tmp_path / "undisturbed")
    assert resumed.code == undisturbed.code == 0, resumed.stderr
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")
    assert resumed.records[0]["metrics"] == undisturbed.records[0]["metrics"]


def test_stdout_is_json_alone_even_if_a_library_talks(process: Cli, run_words: list[Any]) -> None:
    done = process(*run_words, "--json")
    assert done.code == 0
    assert len(done.records) == 1
    assert "a library that talks on stdout" in done.stderr


def test_an_interrupted_run_says_so_and_goes_on(process: Cli, run_words: list[Any], tmp_path: Path) -> None:
    stopped = process(*run_words, "--json", FAKE_MODEL_KILL="2", FAKE_SIGNAL="SIGINT")
    assert stopped.code == 130
    assert "goes on from here" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert stopped.stdout == ""
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 4
    assert process(*run_words).code == 0
