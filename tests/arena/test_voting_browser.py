"""A person at a real browser: thirty pairs by keys and mouse, to the goal, with reloads in between."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import chromium
import pytest
from arena_world import PROMPTS, make_arena, serving

pytestmark = pytest.mark.skipif(chromium.FOUND is None, reason="no Chromium on this machine")

#: How a choice is made, and what the database should say of it.
WAYS = [
    (("press", "ArrowLeft"), "left"),
    (("press", "ArrowRight"), "right"),
    (("press", " "), "tie"),
    (("press", "b"), "both_bad"),
    (("click", "button.image[value=left]"), "left"),
    (("click", "button.image[value=right]"), "right"),
    (("click", ".choices [value=tie]"), "tie"),
    (("click", ".choices [value=both_bad]"), "both_bad"),
]
GOAL = 30
TICKET = "document.querySelector('input[name=ticket]')?.value"
PROGRESS = "[...document.querySelector('.progress').children].map(one => one.value ?? one.textContent)"


def come_in(page: chromium.Page, address: str, name: str) -> None:
    page.go(f"{address}/")
    page.write(name)  # the field has the focus
    page.press("Enter")
    page.wait(f"{TICKET} && document.readyState === 'complete'")


def vote(page: chromium.Page, number: int) -> tuple[str, str]:
    (act, what), choice = WAYS[number % len(WAYS)]
    ticket = page.evaluate(TICKET)
    getattr(page, act)(what)
    page.wait(f"{TICKET} && {TICKET} !== '{ticket}' && document.readyState === 'complete'")
    return ticket.partition(".")[0], choice


def test_thirty_pairs_by_keys_and_mouse(tmp_path: Path) -> None:
    make_arena(tmp_path, prompts=PROMPTS)
    with (
        serving(tmp_path / "arena", "--goal", str(GOAL)) as (_, address, board),
        chromium.chromium() as browser,
    ):
        page, other = browser.page(), browser.page()
        come_in(page, address, "Ann")
        come_in(other, address, "Bob")
        cast, by_other = [], []
        for number in range(GOAL):
            assert page.evaluate(PROGRESS) == [f"{number} of {GOAL}", number]
            assert page.evaluate("[...document.images].every(one => one.naturalWidth === 16)")
            if number in (7, 15):
                before = page.evaluate(TICKET)
                page.reload()
                assert page.evaluate(TICKET) == before
            cast.append(vote(page, number))
            if number % 10 == 0:
                by_other.append(vote(other, number))
        # The goal fills the bar and ends nothing: the next pair is there, and counts.
        assert page.evaluate(PROGRESS) == [f"{GOAL} votes", GOAL]
        cast.append(vote(page, GOAL))
        assert page.evaluate(PROGRESS) == [f"{GOAL + 1} votes", GOAL]
        page.go(board)
        assert "34 votes of 2 voters" in page.evaluate("document.body.innerText")
    with sqlite3.connect(tmp_path / "arena" / "votes.sqlite") as base:
        query = (
            "SELECT nonce, choice FROM votes JOIN pairs USING (nonce) JOIN voters USING (session) "
            "WHERE name = ? ORDER BY votes.rowid"
        )
        assert base.execute(query, ("Ann",)).fetchall() == cast
        assert base.execute(query, ("Bob",)).fetchall() == by_other


def test_keys_pressed_in_haste_count_once(tmp_path: Path) -> None:
    make_arena(tmp_path)
    with serving(tmp_path / "arena") as (_, address, _), chromium.chromium() as browser:
        page = browser.page()
        come_in(page, address, "Ann")
        nonce = page.evaluate(TICKET).partition(".")[0]
        # Three presses before the page can change: within one turn of the page's own script.
        page.evaluate(
            "for (const key of ['ArrowLeft', 'ArrowRight', 'b']) "
            "document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))"
        )
        page.wait("document.querySelector('.progress span')?.textContent === '1 of 30'")
        page.go(f"{address}/vote")
    with sqlite3.connect(tmp_path / "arena" / "votes.sqlite") as base:
        assert base.execute("SELECT nonce, choice FROM votes").fetchall() == [(nonce, "left")]
