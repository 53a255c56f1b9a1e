"""Verdicts: the journal survives any cut, and ends as the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_world import RedJudge
from PIL import Image

from lumina_eval.errors import UserError
from lumina_eval.judging import Sight, judge_images
from lumina_eval.records import Item
from lumina_eval.store import StoredImage


def sights(count: int = 5) -> list[Sight]:
    made = []
    for n in range(count):
        image = Image.new("RGB", (4, 4), (n * 40, 0, 0))
        stored = StoredImage(image, f"sha-{n}")
        made.append(Sight(Item(id=str(n), prompt="p", task="t"), 0, f"sha-{n}", lambda s=stored: s))
    return made


def judge(journal: Path, judge: Any = None, seen: Sequence[Sight] | None = None) -> Any:
    return judge_images(
        sights() if seen is None else seen, judge or RedJudge(), journal, 2, lambda count: None
    )


def test_a_journal_cut_at_any_byte_ends_the_same(tmp_path: Path) -> None:
    journal = tmp_path / "verdicts.jsonl"
    judge(journal)
    whole = journal.read_bytes()
    assert whole.count(b"\n") == 5
    for length in range(len(whole) + 1):
        journal.write_bytes(whole[:length])
        judge(journal)
        assert journal.read_bytes() == whole


def test_what_was_judged_is_not_judged_again(tmp_path: Path) -> None:
    journal, again = tmp_path / "verdicts.jsonl", RedJudge()
    judge(journal)
    judge(journal, again)
    assert again.calls == 0


def test_verdicts_of_another_judge_or_of_another_image_do_not_count(tmp_path: Path) -> None:
    journal = tmp_path / "verdicts.jsonl"
    judge(journal)
    other = RedJudge()
    other.settings = {"threshold": 1}
    judge(journal, other)
    assert other.calls == 3
    changed = sights()
    changed[4] = Sight(
        changed[4].item, 0, "sha-new", lambda: StoredImage(Image.new("RGB", (4, 4)), "sha-new")
    )
    last = RedJudge()
    last.settings = {"threshold": 1}
    judged = judge(journal, last, changed)
    assert last.calls == 1
    assert judged.verdicts[4].image_sha256 == "sha-new"


class StubbornJudge(RedJudge):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def judge(self, images: Any, items: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer", [RuntimeError("no memory"), [], [{"x": float("nan")}] * 2, [{"x": {1, 2}}] * 2, [None] * 2]
)
def test_what_a_judge_cannot_say_is_a_failure_and_no_verdict(tmp_path: Path, answer: Any) -> None:
    judged = judge(tmp_path / "verdicts.jsonl", StubbornJudge(answer), sights(2))
    assert judged.verdicts == []
    assert set(judged.failed) == {("0", 0), ("1", 0)}


def test_an_error_for_the_user_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weights"):
        judge(tmp_path / "verdicts.jsonl", StubbornJudge(UserError("no weights")), sights(2))


def test_a_missing_and_an_unreadable_image_are_named(tmp_path: Path) -> None:
    seen = sights(3)
    seen[0] = Sight(seen[0].item, 0, None, lambda: None)
    seen[1] = Sight(seen[1].item, 0, "sha-1", lambda: None)
    judged = judge(tmp_path / "verdicts.jsonl", None, seen)
    assert [verdict.item_id for verdict in judged.verdicts] == ["2"]
    assert set(judged.failed) == {("0", 0), ("1", 0)}
