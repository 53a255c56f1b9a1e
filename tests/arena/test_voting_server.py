"""The place to vote, spoken to over loopback: from this process, and as one of its own where it is killed."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from arena_world import PROMPTS, make_arena, make_run, open_to_votes, serving
from typer.testing import CliRunner

from benchmarks.arena.cli import app
from benchmarks.arena.export import export_arena
from benchmarks.arena.manifest import read_manifest_of_export
from benchmarks.arena.matchups import entrants
from benchmarks.arena.serve.arena import Arena
from lumina_eval.errors import UserError

MODELS = ("bright", "dull", "wild")


class Browser:
    """A voter's browser, as far as forms go."""

    def __init__(self, address: str, name: str = "Ann", category: str = "") -> None:
        self.client = httpx.Client(base_url=address, follow_redirects=True, timeout=60)
        self.page = self.client.post("/join", data={"name": name, "category": category})
        assert self.page.status_code == 200, self.page.text

    @property
    def ticket(self) -> str:
        return re.search(r'name="ticket" value="([^"]+)"', self.page.text)[1]  # type: ignore[index]

    @property
    def images(self) -> list[str]:
        return re.findall(r'src="(/images/[^"]+)"', self.page.text)

    def reload(self) -> None:
        self.page = self.client.get("/vote")

    def vote(self, choice: str, ticket: str | None = None) -> httpx.Response:
        """Vote on the pair before this browser, or with another ticket, and see what comes."""
        data = {"ticket": ticket or self.ticket, "choice": choice}
        answer = self.client.post("/vote", data=data)
        if answer.status_code == 200:
            self.page = answer
        return answer


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[tuple[Path, str, str]]:
    make_arena(tmp_path)
    with open_to_votes(tmp_path / "arena") as (address, board):
        yield tmp_path / "arena", address, board


def votes_in(folder: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(folder / "votes.sqlite") as base:
        return base.execute("SELECT nonce, choice FROM votes ORDER BY rowid").fetchall()


def test_two_voters_at_once_and_a_reload_shows_the_same_pair(arena: tuple[Path, str, str]) -> None:
    folder, address, _ = arena
    cast: dict[str, list[tuple[str, str]]] = {"Ann": [], "Bob": []}
    before = Browser(address, "Carl")
    first = before.ticket
    before.reload()
    assert before.ticket == first

    def all_day(name: str) -> None:
        browser = Browser(address, name)
        for number in range(18):
            choice = ("left", "right", "tie", "both_bad")[number % 4]
            ticket = browser.ticket
            assert browser.vote(choice).status_code == 200
            cast[name].append((ticket.partition(".")[0], choice))

    voters = [threading.Thread(target=all_day, args=(name,)) for name in cast]
    for voter in voters:
        voter.start()
    for voter in voters:
        voter.join()
    assert sorted(votes_in(folder)) == sorted([*cast["Ann"], *cast["Bob"]])
    with sqlite3.connect(folder / "votes.sqlite") as base:
        rows = base.execute("SELECT name, matchup FROM pairs JOIN voters USING (session)").fetchall()
        modes = base.execute("PRAGMA journal_mode").fetchone()
    assert max(Counter(rows).values()) == 1, "a voter saw a pair twice"
    assert modes == ("wal",)


def test_forged_repeated_and_replayed_votes_are_refused(arena: tuple[Path, str, str]) -> None:
    folder, address, _ = arena
    ann, bob = Browser(address, "Ann"), Browser(address, "Bob")
    ticket = ann.ticket
    nonce, _, signature = ticket.partition(".")
    of_bob = bob.ticket.partition(".")[0]
    forged = ["", "nonsense", nonce, f"{nonce}.", f"{nonce}.{'0' * 64}", f"{of_bob}.{signature}"]
    forged += [f"{nonce}.{signature}\0", f"é.{signature}", "x" * 50_000]
    for false in forged:
        answer = ann.client.post("/vote", data={"ticket": false, "choice": "left"})
        assert answer.status_code == 403, false[:80]
        assert "does not count" in answer.text
    stolen = bob.client.post("/vote", data={"ticket": ticket, "choice": "left"})
    assert stolen.status_code == 403
    assert "another voter" in stolen.text
    stranger = httpx.post(f"{address}/vote", data={"ticket": ticket, "choice": "left"})
    assert stranger.status_code == 403
    wrong = ann.client.post("/vote", data={"ticket": ticket, "choice": "best"})
    assert wrong.status_code == 400
    assert votes_in(folder) == []
    assert ann.vote("left").status_code == 200
    for choice in ("left", "right"):
        repeated = ann.client.post("/vote", data={"ticket": ticket, "choice": choice})
        assert repeated.status_code == 409
        assert "counted once" in repeated.text
    assert votes_in(folder) == [(nonce, "left")]


def test_a_kill_loses_no_vote_that_was_acknowledged(tmp_path: Path) -> None:
    make_arena(tmp_path)
    folder = tmp_path / "arena"
    acknowledged: list[tuple[str, str]] = []
    with serving(folder) as (process, address, _):
        browser = Browser(address)
        for number in range(9):
            ticket = browser.ticket
            answer = browser.client.post(
                "/vote", data={"ticket": ticket, "choice": "left"}, follow_redirects=False
            )
            assert answer.status_code == 303
            acknowledged.append((ticket.partition(".")[0], "left"))
            if number == 8:
                process.kill()  # at once after the answer, before the next pair is asked for
                process.wait()
            else:
                browser.reload()
    assert votes_in(folder) == acknowledged
    cookies = browser.client.cookies
    with serving(folder) as (_, address, _):
        # The voter goes on as if nothing had been; the last vote cannot be cast again.
        browser.client = httpx.Client(base_url=address, cookies=cookies, follow_redirects=True, timeout=60)
        assert browser.client.post("/vote", data={"ticket": ticket, "choice": "right"}).status_code == 409
        browser.reload()
        assert "9 of 30" in browser.page.text
        assert browser.vote("tie").status_code == 200
    assert [choice for _, choice in votes_in(folder)] == ["left"] * 9 + ["tie"]


def test_a_kill_between_two_busy_voters_loses_nothing(tmp_path: Path) -> None:
    make_arena(tmp_path)
    folder, enough = tmp_path / "arena", threading.Event()
    acknowledged: dict[str, list[tuple[str, str]]] = {"Ann": [], "Bob": []}
    with serving(folder) as (process, address, _):

        def until_the_end(browser: Browser, cast: list[tuple[str, str]]) -> None:
            with contextlib.suppress(httpx.TransportError):
                for _ in range(30):
                    ticket = browser.ticket
                    data = {"ticket": ticket, "choice": "tie"}
                    if browser.client.post("/vote", data=data, follow_redirects=False).status_code == 303:
                        cast.append((ticket.partition(".")[0], "tie"))
                    if len(cast) == 6:
                        enough.set()
                    browser.reload()

        voters = [
            threading.Thread(target=until_the_end, args=(Browser(address, name), cast))
            for name, cast in acknowledged.items()
        ]
        for voter in voters:
            voter.start()
        assert enough.wait(60)
        process.kill()
        for voter in voters:
            voter.join()
    found, told = set(votes_in(folder)), {*acknowledged["Ann"], *acknowledged["Bob"]}
    assert told <= found
    assert len(found - told) <= 2  # written, and killed before the answer: one of each voter at most
    with sqlite3.connect(folder / "votes.sqlite") as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_voter_can_read_who_is_who(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "w", "bright", side=16), make_run(tmp_path / "w", "dull", side=24)]
    export_arena(entrants(runs), tmp_path / "arena", "arena")
    with serving(tmp_path / "arena") as (_, address, board):
        browser = Browser(address)
        lengths, headers = set(), set()
        for _ in range(6):
            seen = [browser.page, *(browser.client.get(image) for image in browser.images)]
            for answer in seen:
                everything = f"{answer.url} {answer.headers} ".encode() + answer.content
                assert not re.search(rb"bright|dull|fake-plain", everything)
            lengths |= {len(answer.content) for answer in seen[1:]}
            headers |= {tuple(sorted(k for k in answer.headers if k != "date")) for answer in seen[1:]}
            browser.vote("left")
        assert len(lengths) == len(headers) == 1
        assert not {"etag", "last-modified", "server"} & {name for names in headers for name in names}
        refused = browser.client.get("/leaderboard")
        assert refused.status_code == 403
        assert "the address that the server printed" in refused.text
        assert browser.client.get("/leaderboard?key=é").status_code == 403
        shown = httpx.get(board, timeout=60)
        assert shown.status_code == 200
        assert "bright" in shown.text
        for path in ("/votes.sqlite", "/matchups.jsonl", "/images/..%2Fvotes.sqlite", "/static/..%2Fapp.py"):
            assert browser.client.get(path).status_code == 404
        # A page elsewhere that points its own name at this machine gets nothing.
        assert httpx.get(f"{address}/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_prompts_names_and_models_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>{{ 7*7 }}"
    runs = [make_run(tmp_path / "w", name, [evil], images=1) for name in ("a", "b")]
    for run, name in zip(runs, ("<img src=x onerror=1>", "plain"), strict=True):
        manifest = json.loads((run / "manifest.json").read_text())
        (run / "manifest.json").write_text(json.dumps({**manifest, "title": name}))
    export_arena(entrants(runs), tmp_path / "arena", "arena")
    with open_to_votes(tmp_path / "arena") as (address, board):
        browser = Browser(address, "<b>Ann</b>")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in browser.page.text
        assert "<script>alert" not in browser.page.text
        assert "<b><b>" not in browser.page.text
        assert "default-src 'none'" in browser.page.headers["content-security-policy"]
        assert "That was all of it" in browser.vote("left").text
        assert "&lt;img src=x" in httpx.get(board, timeout=60).text


def test_a_vote_that_cannot_be_written_is_not_acknowledged(arena: tuple[Path, str, str]) -> None:
    folder, address, _ = arena
    browser = Browser(address)
    ticket = browser.ticket
    with sqlite3.connect(folder / "votes.sqlite") as base:
        base.execute("CREATE TRIGGER full BEFORE INSERT ON votes BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    refused = browser.vote("left")
    assert refused.status_code == 503
    assert "nothing was counted" in refused.text
    assert "disk full" in refused.text
    with sqlite3.connect(folder / "votes.sqlite") as base:
        base.execute("DROP TRIGGER full")
    browser.reload()
    assert browser.ticket == ticket
    assert browser.vote("right").status_code == 200
    assert [choice for _, choice in votes_in(folder)] == ["right"]


def test_categories_progress_and_the_end(arena: tuple[Path, str, str]) -> None:
    _, address, board = arena
    browser = Browser(address, "Ann", "odd")
    prompts = []
    while "That was all of it" not in browser.page.text:
        assert f"{len(prompts)} of 30" in browser.page.text
        prompts.append(re.search(r'class="prompt">([^<]+)', browser.page.text)[1])  # type: ignore[index]
        browser.vote("right")
    assert Counter(prompts) == dict.fromkeys(PROMPTS[1::2], 6)  # three pairs, two images
    assert "18 votes of 1 voter" in httpx.get(board, timeout=60).text
    assert "0 votes of 0 voters" in httpx.get(f"{board}&category=even", timeout=60).text
    nameless = httpx.post(f"{address}/join", data={"name": "  "})
    assert nameless.status_code == 400
    assert "Please give a name" in nameless.text


def test_votes_come_out_as_battles(arena: tuple[Path, str, str]) -> None:
    folder, address, _ = arena
    who = read_manifest_of_export(folder.with_name("arena.manifest.json"))
    browser, expected = Browser(address), []
    for choice, outcome in (("left", 1.0), ("right", 0.0), ("tie", 0.5), ("both_bad", 0.5)):
        models = [who.images[Path(image).stem].model for image in browser.images]
        expected.append((*models, outcome, "Ann", f"arena:{choice}"))
        browser.vote(choice)
    run = CliRunner().invoke(app, ["votes", str(folder)])
    assert run.exit_code == 0
    lines = [json.loads(line) for line in (folder / "votes.jsonl").read_text().splitlines()]
    keys = ("model_a", "model_b", "outcome", "voter", "source")
    assert [tuple(line[key] for key in keys) for line in lines] == expected


def test_what_is_wrong_is_told_before_anything_is_served(tmp_path: Path) -> None:
    def serve(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["serve", *arguments])
        assert isinstance(done.exception, UserError)
        return str(done.exception)

    assert "expected the manifest of an arena" in serve(str(tmp_path / "nowhere"))
    done = make_arena(tmp_path)
    folder = tmp_path / "arena"
    with serving(folder) as (_, address, _):
        port = address.rpartition(":")[2]
        other = tmp_path / "other"
        export_arena(entrants([make_run(tmp_path / "w", name) for name in ("x", "y")]), other, "arena")
        assert "Address already in use" in serve(str(other), "--port", port)
        assert "another process is writing" in serve(str(folder), "--port", "0")
    strange = read_manifest_of_export(other.with_name("other.manifest.json"))
    with pytest.raises(UserError, match="lacks 36 of its 36 match-ups"):
        Arena(folder, strange)
    own = read_manifest_of_export(done.manifest)
    browserless = Arena(folder, own)
    assert browserless.pair_for(browserless.box.join("Ann", None)) is not None
    browserless.box.close()
    renamed = [one.model_copy(update={"name": f"new {one.name}"}) for one in own.contenders]
    with pytest.raises(UserError, match=r"expected votes on new bright, .* found some on"):
        Arena(folder, own.model_copy(update={"contenders": renamed}))
    image = next((folder / "images").iterdir())
    image.unlink()
    with pytest.raises(UserError, match=rf"1 missing, the first is {image.name}"):
        Arena(folder, own)
