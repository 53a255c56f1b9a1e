"""``--model images-api:URL`` against an endpoint on loopback."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, Done, with_model
from image_endpoint import Endpoint, serving

from lumina_eval.errors import UserError
from lumina_eval.models import open_models

KEY = "sk-this-is-never-written"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("lumina_eval.endpoint.FIRST_PAUSE", 0.001)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as server:
        yield server


@pytest.fixture
def words(run_words: list[Any], endpoint: Endpoint) -> list[Any]:
    return [*with_model(run_words, f"images-api:{endpoint.url}"), "--option", "model=painter-1", "--json"]


def failures(done: Done) -> list[dict[str, Any]]:
    path = Path(done.records[0]["run_dir"]) / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def everything_written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_one_request_makes_one_image_with_the_fields_that_were_given(
    call: Cli, words: list[Any], endpoint: Endpoint, tmp_path: Path
) -> None:
    done = call(*words, "--option", "size=64x64", "--option", "quality=low", "--option", "style=3")
    assert done.code == 0, done.stderr
    assert Counter(endpoint.prompts()) == {f"prompt {n}": 2 for n in range(6)}
    assert endpoint.asked[0] == {
        "prompt": endpoint.prompts()[0], "model": "painter-1", "n": 1, "size": "64x64", "quality": "low",
        "style": 3,
    }  # fmt: skip
    assert {headers["authorization"] for headers in endpoint.headers} == {f"Bearer {KEY}"}
    manifest = json.loads((Path(done.records[0]["run_dir"]) / "manifest.json").read_text())
    assert manifest["sampling"] == {"seeded": False, "size": "64x64", "quality": "low", "style": 3}
    assert set(manifest["components"]) == {"endpoint"}
    assert done.records[0]["metrics"][0]["value"] == 1
    assert KEY.encode() not in everything_written(tmp_path)


def test_a_second_run_asks_only_for_what_is_missing(call: Cli, words: list[Any], endpoint: Endpoint) -> None:
    endpoint.script = {"prompt 3": ["refuse"]}
    first = call(*words)
    assert first.code == 4
    assert [(f["item_id"], f["index"], f["step"]) for f in failures(first)] == [
        ("00003", 0, "generate"), ("00003", 1, "generate"),
    ]  # fmt: skip
    reason = "refused by the endpoint: Your request was rejected by the safety system."
    assert {f["reason"] for f in failures(first)} == {reason}
    assert f"generate failed for image 0 of item 00003: {reason} … and 1 more" in first.stderr
    assert Counter(endpoint.prompts())["prompt 3"] == 2  # a refusal is an answer: it is not asked again
    endpoint.asked.clear()
    endpoint.script = {}
    assert call(*words).code == 0
    assert endpoint.prompts() == ["prompt 3", "prompt 3"]


def test_what_passes_by_itself_is_asked_again(call: Cli, words: list[Any], endpoint: Endpoint) -> None:
    endpoint.script = {"prompt 1": ["status:500", "status:429", "good"], "prompt 2": ["status:503"]}
    done = call(*words, "--option", "retries=2", "--option", "concurrency=1")
    assert done.code == 4
    assert Counter(endpoint.prompts()) == {
        "prompt 0": 2, "prompt 1": 4, "prompt 2": 6, "prompt 3": 2, "prompt 4": 2, "prompt 5": 2,
    }  # fmt: skip
    assert {(f["item_id"], f["reason"]) for f in failures(done)} == {
        ("00002", "the endpoint says HTTP 503: no")
    }


def test_an_endpoint_that_stalls_is_left_after_the_timeout(
    call: Cli, words: list[Any], endpoint: Endpoint
) -> None:
    endpoint.script = {"prompt 4": ["stall"]}
    done = call(*words, "--option", "timeout=0.3", "--option", "retries=1")
    assert done.code == 4
    assert {(f["item_id"], f["reason"]) for f in failures(done)} == {
        ("00004", "no answer from the endpoint within 0.3 seconds")
    }
    assert Counter(endpoint.prompts())["prompt 4"] == 4
    assert done.records[0]["coverage"]["generated"] == 10


def test_results_by_address_are_fetched_without_the_key(
    call: Cli, words: list[Any], endpoint: Endpoint
) -> None:
    endpoint.script = {"prompt": ["url"]}
    done = call(*words)
    assert done.code == 0, done.stderr
    assert done.records[0]["metrics"][0]["value"] == 1
    assert len(endpoint.fetched) == 12
    assert all("authorization" not in headers for headers in endpoint.fetched)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("empty", "holds no image"),
        ("garbage", "holds no image"),
        ("bytes", "no answer that can be read"),
        ("body:[1, 2]", "holds no image"),
        ('body:{"data": "x"}', "holds no image"),
        ('body:{"data": [5]}', "holds no image"),
        ('body:{"data": [{"b64_json": 7}]}', "holds no image"),
        ('body:{"data": [{"b64_json": "é"}]}', "no base64"),
        ('body:{"data": [{"b64_json": "dGV4dA=="}]}', "cannot be read"),
        ("echo", "bad request with Bearer ***"),
    ],
)
def test_an_answer_without_an_image_is_a_failure_with_its_reason(
    call: Cli, words: list[Any], endpoint: Endpoint, tmp_path: Path, step: str, reason: str
) -> None:
    endpoint.script = {"prompt 5": [step]}
    done = call(*words)
    assert done.code == 4
    assert [f["item_id"] for f in failures(done)] == ["00005", "00005"]
    assert all(reason in f["reason"] for f in failures(done))
    assert KEY.encode() not in everything_written(tmp_path)
    assert KEY not in done.stderr + done.stdout


def test_the_cost_cap_ends_the_asking_and_what_is_there_stays(
    call: Cli, words: list[Any], endpoint: Endpoint
) -> None:
    endpoint.script = {"prompt 0": ["status:500", "good"]}  # an error costs nothing
    options = ["max_cost=0.50", "cost_per_image=0.1", "concurrency=1"]
    capped = [*words, *(word for option in options for word in ("--option", option))]
    done = call(*capped)
    assert done.code == 4
    assert done.records[0]["coverage"]["generated"] == 5
    assert len(endpoint.asked) == 6
    reasons = {f["reason"] for f in failures(done)}
    assert len(reasons) == 1
    assert "the cost cap of 0.50 USD is reached with 5 requests at 0.1 USD" in reasons.pop()
    assert "… and 6 more" in done.stderr
    call(*capped)
    assert call(*capped).code == 0
    assert len(endpoint.asked) == 13


def test_a_dry_run_tells_the_cost_and_asks_nothing(call: Cli, words: list[Any], endpoint: Endpoint) -> None:
    done = call(*words, "--option", "cost_per_image=0.04", "--dry-run")
    assert done.code == 0, done.stderr
    assert done.records[0]["usd"] == pytest.approx(0.48)
    assert not endpoint.asked


def test_a_lost_answer_counts_as_paid(call: Cli, words: list[Any], endpoint: Endpoint) -> None:
    endpoint.script = {"prompt": ["stall"]}
    options = ["timeout=0.2", "retries=5", "max_cost=3", "cost_per_image=1", "concurrency=1"]
    done = call(*words, *(word for option in options for word in ("--option", option)))
    assert done.code == 4
    assert len(endpoint.asked) == 3


def test_an_endpoint_that_cannot_be_reached_costs_nothing(
    call: Cli, words: list[Any], endpoint: Endpoint
) -> None:
    with socket.socket() as taken:  # bound, not listening: it refuses, and nobody else gets it
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        options = ["retries=5", "max_cost=3", "cost_per_image=1", "concurrency=1"]
        done = call(
            *with_model(words, f"images-api:{closed}"),
            *(word for option in options for word in ("--option", option)),
        )
    assert done.code == 4
    reasons = {f["reason"] for f in failures(done)}
    assert len(reasons) == 2, "of the first requests, and of those that were not made any more"
    assert all("the endpoint cannot be reached" in reason for reason in reasons)
    assert "cost cap" not in done.stderr
    assert not endpoint.asked


def test_no_further_request_after_many_without_a_good_end(
    call: Cli, words: list[Any], endpoint: Endpoint
) -> None:
    endpoint.script = {"prompt": ["status:500:out of order"]}
    done = call(*words, "--option", "retries=0", "--option", "concurrency=1")
    assert done.code == 4
    assert len(endpoint.asked) == 8
    last = "the last: the endpoint says HTTP 500: out of order"
    assert f"8 requests in a row had no good end, {last}" in done.stderr


@pytest.mark.parametrize(
    ("status", "message"), [("401", "OPENAI_API_KEY"), ("403", "gives no access"), ("404", "no such address")]
)
def test_what_every_request_would_meet_stops_the_run_and_loses_nothing(
    call: Cli, words: list[Any], endpoint: Endpoint, tmp_path: Path, status: str, message: str
) -> None:
    endpoint.script = {"prompt 2": [f"status:{status}"]}
    done = call(*words, "--option", "concurrency=1")
    assert done.code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 4
    assert len(endpoint.asked) == 5


def test_the_key_of_an_image_knows_model_revision_and_body_and_no_address(endpoint: Endpoint) -> None:
    def identity(url: str, **options: str) -> tuple[Any, Any]:
        (model,) = open_models(f"images-api:{url}", {"device": "auto", "model": "m", **options})
        return dict(model.components()), dict(model.sampling())

    plain = identity(endpoint.url)
    assert identity("https://elsewhere.example/v1", timeout="3", max_cost="1", cost_per_image="1") == plain
    assert identity(f"{endpoint.url}/images/generations") == plain
    others = [identity(endpoint.url, **{name: "x"}) for name in ("model", "revision", "size")]
    assert all(other != plain for other in others)


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("http://host/v1", {}, "model=NAME"),
        ("", {"model": "m"}, "found no address"),
        ("host/v1", {"model": "m"}, "address of an endpoint"),
        ("http://[::1/v1", {"model": "m"}, r"found 'http://\[::1/v1'"),
        ("http://localhost:80a/v1", {"model": "m"}, "found 'http://localhost:80a/v1'"),
        ("http://local\x00host/v1", {"model": "m"}, "address of an endpoint"),
        ("http://me:word@host:80a/v1?key=sk-1", {"model": "m"}, r"found 'http://\*\*\*@host:80a/v1'"),
        ("http://me:word@host/v1", {"model": "m"}, "without name, password and query"),
        ("http://host/v1?key=1", {"model": "m"}, "without name, password and query"),
        ("http://host/v1", {"model": "m", "api_key": "sk-1"}, "expected no secret"),
        ("http://host/v1", {"model": "m", "key_env": "NOT_SET_AT_ALL"}, "NOT_SET_AT_ALL"),
        ("http://host/v1", {"model": "m", "n": "4"}, "no --option n"),
        ("http://host/v1", {"model": "m", "seed": "4"}, "no --option seed"),
        ("http://host/v1", {"model": "m", "max_cost": "4"}, "cost_per_image"),
        ("http://host/v1", {"model": "m", "max_cost": "much", "cost_per_image": "1"}, "amount of USD"),
        ("http://host/v1", {"model": "m", "timeout": "0"}, "timeout"),
        ("http://host/v1", {"model": "m", "concurrency": "0"}, "concurrency"),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(url: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        open_models(f"images-api:{url}", options)
    assert "fix: " in str(error.value)
    assert "word" not in str(error.value).split("password")[0]
    assert "sk-1" not in str(error.value)
