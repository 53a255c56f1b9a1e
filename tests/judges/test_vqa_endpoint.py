"""The endpoint's answerer against a real server on loopback."""

from __future__ import annotations

import base64
import io
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_endpoint import ChatServer
from PIL import Image

from benchmarks.judges.vqa.answering import Answer, Answerer, UnansweredError
from benchmarks.judges.vqa.endpoint import EndpointAnswerer, decision_of
from benchmarks.judges.vqa.opening import open_answerer
from lumina_eval.errors import UserError

RED, BLUE = (Image.new("RGB", (6, 4), color) for color in ("red", "blue"))
RETRIES = 2


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setattr("lumina_eval.endpoint.FIRST_PAUSE", 0.0)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer().running() as running:
        yield running


def answerer(url: str, folder: Path, choice: str = "structured_outputs", **options: str) -> EndpointAnswerer:
    given = {"retries": str(RETRIES), "timeout": "20", "concurrency": "3", **options}
    return EndpointAnswerer(url, "m", choice, given, folder / "cache")


def _first_pixel(request: dict[str, Any]) -> tuple[int, ...]:
    sent = request["messages"][0]["content"][0]["image_url"]["url"]
    with Image.open(io.BytesIO(base64.b64decode(sent.removeprefix("data:image/png;base64,")))) as picture:
        assert picture.size == RED.size
        return tuple(int(value) for value in np.asarray(picture)[0, 0])


def test_pictures_questions_and_limits_arrive_and_answers_come_in_order(
    server: ChatServer, tmp_path: Path
) -> None:
    asked = answerer(server.url, tmp_path)
    assert isinstance(asked, Answerer)
    images = [RED, RED, BLUE, BLUE]
    found = asked.answer(images, ["Is it red?", "Is it blue?"] * 2)
    assert [answer.text for answer in found] == ["yes", "no", "no", "yes"]
    assert [answer.decision for answer in found] == ["yes", "no", "no", "yes"]
    assert {request["path"] for request in server.requests} == {"/v1/chat/completions"}
    for request in server.requests:
        assert (request["model"], request["temperature"], request["max_tokens"]) == ("m", 0, 8)
        assert request["structured_outputs"] == {"choice": ["yes", "no"]}
        text = request["messages"][0]["content"][1]["text"]
        assert text == asked.settings["prompt"].format(question=request["question"])
    # Several are asked at once, so they arrive in any order.
    seen = sorted((request["question"], _first_pixel(request)) for request in server.requests)
    red, blue = (255, 0, 0), (0, 0, 255)
    assert seen == [("Is it blue?", blue), ("Is it blue?", red), ("Is it red?", blue), ("Is it red?", red)]


@pytest.mark.parametrize(
    ("choice", "extra"), [("guided_choice", {"guided_choice": ["yes", "no"]}), ("none", {})]
)
def test_a_server_is_told_the_choice_in_its_own_way(
    server: ChatServer, tmp_path: Path, choice: str, extra: dict[str, object]
) -> None:
    answerer(server.url, tmp_path, choice).answer([RED], ["Is it red?"])
    (request,) = server.requests
    known = {"structured_outputs", "guided_choice"}
    assert {key: value for key, value in request.items() if key in known} == extra


def test_what_was_answered_is_not_asked_again(server: ChatServer, tmp_path: Path) -> None:
    first = answerer(server.url, tmp_path).answer([RED, BLUE], ["Is it red?"] * 2)
    assert len(server.requests) == 2
    again = answerer(server.url, tmp_path).answer([RED.copy(), BLUE.copy()], ["Is it red?"] * 2)
    assert again == first
    assert len(server.requests) == 2
    answerer(server.url, tmp_path).answer([RED], ["Is it blue?"])
    answerer(server.url, tmp_path, "none").answer([RED], ["Is it red?"])
    assert len(server.requests) == 4, "another question, and another way of asking"
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text(file.read_text()[:-9])  # cut short
    assert answerer(server.url, tmp_path).answer([RED, BLUE], ["Is it red?"] * 2) == first
    assert len(server.requests) == 6


def test_another_revision_of_a_model_under_one_name_gives_its_own_answers(
    server: ChatServer, tmp_path: Path
) -> None:
    table = {"answerer": "endpoint", "model": "m", "cache": str(tmp_path / "cache")}
    with ChatServer().running() as other:
        other.script = lambda question, before: "no"
        old = open_answerer({**table, "url": server.url, "revision": "1"})
        new = open_answerer({**table, "url": other.url, "revision": "2"})
        for _ in range(2):
            assert [answer.text for answer in old.answer([RED], ["Is it red?"])] == ["yes"]
            assert [answer.text for answer in new.answer([RED], ["Is it red?"])] == ["no"]
        assert (len(server.requests), len(other.requests)) == (1, 1)
    assert old.digest != new.digest
    assert old.settings != new.settings


def test_another_version_of_the_judge_asks_anew(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer(server.url, tmp_path).answer([RED], ["Is it red?"])
    monkeypatch.setattr("benchmarks.judges.vqa.endpoint.VERSION", 1000)
    answerer(server.url, tmp_path).answer([RED], ["Is it red?"])
    assert len(server.requests) == 2


def test_errors_and_rubbish_that_pass_leave_no_trace(server: ChatServer, tmp_path: Path) -> None:
    def script(question: str, before: int) -> str | tuple[int, dict[str, str]]:
        if question == "Is it red?" and before < RETRIES:
            return (500, {}) if before else (429, {"retry-after": "0"})
        return "I would rather not say" if question == "Is it blue?" and before < 2 else ""

    server.script = script
    found = answerer(server.url, tmp_path).answer([RED, RED], ["Is it red?", "Is it blue?"])
    assert [answer.text for answer in found] == ["yes", "no"]
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ((503, {}), "HTTP 503"),
        ("I would rather not say", "expected yes or no, found 'I would rather not say', asked 3 times"),
        (" ", "expected yes or no"),
        (None, "no answer from the endpoint within"),
    ],
)
def test_a_question_without_an_answer_is_no_no_and_spoils_no_other(
    server: ChatServer, tmp_path: Path, trouble: str | tuple[int, dict[str, str]] | None, told: str
) -> None:
    server.script = lambda question, before: trouble if "blue" in question else ""
    short = {"timeout": "0.3", "retries": "1"} if trouble is None else {}
    asked = answerer(server.url, tmp_path, **short)
    with pytest.raises(UnansweredError, match="1 of 3 questions have no answer; number 1: ") as caught:
        asked.answer([RED] * 3, ["Is it red?", "Is it blue?", "Is it green?"])
    assert caught.value.answers == [Answer("yes", None, "yes"), None, Answer("no", None, "no")]
    assert told in caught.value.reasons[1]
    before = len(server.requests)
    server.script = lambda question, before: ""
    found = asked.answer([RED] * 3, ["Is it red?", "Is it blue?", "Is it green?"])
    assert [answer.text for answer in found] == ["yes", "no", "no"]
    assert len(server.requests) == before + 1, "the others were kept"


def test_a_server_that_lets_nobody_in_or_is_not_there_is_the_users_to_mend(
    server: ChatServer, tmp_path: Path
) -> None:
    server.script = lambda question, before: (401, {})
    with pytest.raises(UserError, match="gives no access"):
        answerer(server.url, tmp_path).answer([RED] * 4, ["a?", "b?", "c?", "d?"])
    gone = server.url.replace(server.url.rpartition(":")[2], "9/v1")
    with pytest.raises(
        UserError, match=r"expected answers from .*, found none: the endpoint cannot be reached"
    ):
        answerer(gone, tmp_path).answer([RED], ["a?"])


def test_an_interruption_ends_the_retries_and_the_stalled_and_keeps_what_was_answered(
    server: ChatServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    main = threading.main_thread().ident
    assert main is not None
    # Ignored where a script started the tests in the background.
    before_the_test = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before_the_test))

    def script(question: str, before: int) -> str | tuple[int, dict[str, str]] | None:
        if question == "Is it red?":
            return ""
        if question == "Is it blue?":
            return None
        if before == 2:
            signal.pthread_kill(main, signal.SIGINT)
        return 503, {"retry-after": "0.2"}

    server.script = script
    asked = answerer(server.url, tmp_path, retries="20")
    with pytest.raises(KeyboardInterrupt):
        asked.answer([RED] * 3, ["Is it red?", "Is it blue?", "Is it green?"])
    again = [request["question"] for request in server.requests].count("Is it green?")
    assert again < 21, "the first and 20 retries are all that it would have been"
    server.script = lambda question, before: (503, {})
    assert answerer(server.url, tmp_path).answer([RED], ["Is it red?"]) == [Answer("yes", None, "yes")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": ""}, "fix: --set judge.url="),
        ({"model": ""}, "--set judge.model=NAME"),
        ({"url": "ftp://x"}, "expected the address of an endpoint"),
        ({"choice": "guided"}, r"unknown judge.choice 'guided'; did you mean guided_choice\?"),
    ],
)
def test_options_that_cannot_be_are_told(tmp_path: Path, changes: dict[str, str], told: str) -> None:
    given = {"url": "http://127.0.0.1:9/v1", "model": "m", **changes}
    with pytest.raises(UserError, match=told):
        EndpointAnswerer(**given, cache=tmp_path)


def test_replies_that_are_a_yes_or_a_no() -> None:
    assert [decision_of(text) for text in ("yes", "Yes.", " YES!\n", "Yes, it is")] == ["yes"] * 4
    assert [decision_of(text) for text in ("no", "No.", "No, a dog")] == ["no"] * 3
    assert [decision_of(text) for text in ("", "none", "yesterday", "It is.", "yes or no")] == [None] * 5
