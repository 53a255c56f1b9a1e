"""Lines of progress where there is no terminal: the last one says where it ended."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fake_world import RedJudge
from rich.console import Console
from test_judging import judge, sights

from lumina_eval import progress as module
from lumina_eval.judging import judge_images
from lumina_eval.progress import progress


class Clock:
    """Time that goes on by a second whenever it is asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(module, "time", Clock())
    monkeypatch.setattr(module, "LINE_EVERY", 3.0)
    return Console(file=io.StringIO(), width=80)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_last_count_is_told(console: Console) -> None:
    with progress(console, "judge", 5) as advance:
        for _ in range(5):
            advance(1)
    assert lines(console) == ["judge: 3 of 5", "judge: 5 of 5"]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_label_is_no_markup(console: Console, terminal: bool) -> None:
    shown = Console(file=console.file, width=80, force_terminal=terminal, color_system=None)
    with progress(shown, "generate ft[/ema]:x:", 3) as advance:
        for _ in range(3):
            advance(1)
    assert any("generate ft[/ema]:x:" in line for line in lines(console))


def test_what_broke_off_says_where(console: Console) -> None:
    def interrupted() -> None:
        with progress(console, "judge", 9) as advance:
            for _ in range(4):
                advance(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert lines(console) == ["judge: 3 of 9", "judge: 4 of 9"]


def test_what_takes_no_time_is_silent(console: Console) -> None:
    with progress(console, "judge", 5) as advance:
        advance(5)
    assert not lines(console)


def test_a_batch_that_is_judged_again_for_one_image_counts_one(tmp_path: Path) -> None:
    journal = tmp_path / "verdicts.jsonl"
    judge(journal)
    journal.write_text("".join(line + "\n" for line in journal.read_text().splitlines()[:3]))
    counts: list[int] = []
    judge_images(sights(), RedJudge(), journal, 2, counts.append)
    assert counts == [1, 1]  # of batches of two, two and one
