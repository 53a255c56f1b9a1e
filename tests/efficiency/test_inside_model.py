"""Where the time of a command goes: each second once, on a clock that only the calls move; one real run."""

from __future__ import annotations

import subprocess
import threading

import pytest

from benchmarks.efficiency.inside_model import INSIDE, REST, START, WEIGHTS, Shares, lines, main, shares
from benchmarks.efficiency.spans import Spans


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    clock: Clock

    @classmethod
    def load(cls) -> type[Work]:
        cls.clock.now += 5
        return cls

    def outer(self) -> str:
        self.clock.now += 1
        self.inner()
        self.clock.now += 2
        self.inner()
        return "done"

    def inner(self) -> None:
        self.clock.now += 10

    def fails(self) -> None:
        self.clock.now += 4
        raise KeyError("a key")


@pytest.fixture
def watched() -> tuple[type[Work], Spans]:
    class Own(Work):
        clock = Clock()

    spans = Spans(Own.clock)
    for name in ("outer", "inner", "load", "fails"):
        spans.watch(Own, name, name)
    return Own, spans


def test_each_second_counts_once_and_under_the_innermost(watched: tuple[type[Work], Spans]) -> None:
    work, spans = watched
    assert work().outer() == "done"
    work().inner()
    assert work.load() is work
    with pytest.raises(KeyError):
        work().fails()
    assert spans.seconds == {"outer": 3, "inner": 30, "load": 5, "fails": 4}
    assert sum(spans.seconds.values()) == work.clock.now


def test_other_threads_are_told_apart(watched: tuple[type[Work], Spans]) -> None:
    work, spans = watched
    thread = threading.Thread(target=work().inner)
    thread.start()
    thread.join()
    assert (spans.seconds, spans.beside) == ({}, {"inner": 10})


def test_the_shares_of_a_command() -> None:
    seconds = {START: 1.0, WEIGHTS: 1.0, "denoiser": 6.0, "decoder": 1.0, REST: 1.0}
    found = Shares(10.0, seconds, {"writing images": 0.5}, 4)
    assert found.inside == pytest.approx(0.7)
    assert found.inside_in_the_long_run == pytest.approx(7 / 8)
    text = "\n".join(lines(found))
    assert "| denoiser | 6.00 | 60.0% |" in text
    assert "70.0% of the whole command, 87.5% without what is paid once" in text
    assert "writing images 0.50 s" in text


def test_a_real_command_is_seen_in_its_parts() -> None:
    words = "geneval --protocol tabletop --model embedded:low_res --option steps=1 --limit 1"
    found = shares([*words.split(), "--images-per-prompt", "1"])
    assert found.images == 6
    assert all(found.seconds[name] > 0 for name in (*INSIDE, START, WEIGHTS))
    assert 0 < found.seconds[REST] < found.wall / 2  # below 0: a second counted twice; much: one not seen
    assert found.seconds[START] < 0.9 * found.wall
    assert found.beside["writing images"] > 0
    assert 0 < found.inside < found.inside_in_the_long_run < 1


def test_a_command_that_fails_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 2, "", "first\nerror: did you mean geneval?\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit) as end:
        main(["--", "genevel"])
    assert end.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.count("error: ") == 1
    assert "found exit 2 (did you mean geneval?), in lumina-eval generate genevel; fix: " in told
