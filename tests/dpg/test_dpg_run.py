"""The judge that the protocol names: opened by its options, from generated images and over an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_endpoint import ChatServer
from dpg_world import Cli, csv_text
from PIL import Image
from tiny_answerers import blip

from benchmarks.judges.vqa.blip import BlipAnswerer

ROWS = [
    ("none", 1, "0", "entity - whole (sky)", "Is it a sky?"),
    *((item, 1, "0", f"attribute - color ({item})", f"Is it {item}?") for item in ("red", "blue", "green")),
]
MODEL = """
from PIL import Image
COLORS = ("red", "blue", "green")

def generate(prompts, seeds):
    found = [next((c for c in COLORS if f"of {c}," in prompt), "black") for prompt in prompts]
    return [Image.new("RGB", (8, 8), color) for color in found]
"""


@pytest.fixture
def words(tmp_path: Path) -> list[Any]:
    (tmp_path / "questions.csv").write_text(csv_text(ROWS), newline="")
    (tmp_path / "mine.py").write_text(MODEL)
    return [
        "--questions", tmp_path / "questions.csv", "--out", tmp_path / "out", "--json",
        "--set", "judge.device=cpu",
    ]  # fmt: skip


def verdicts(record: dict[str, Any]) -> list[dict[str, Any]]:
    file = Path(record["run_dir"]) / "verdicts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_generated_images_are_judged_by_a_blip(call: Cli, words: list[Any], tmp_path: Path) -> None:
    weights = blip(tmp_path / "blip")
    more = ["--set", "judge.answerer=blip", "--set", f"judge.weights={weights}", "--no-mlflow", "--no-report"]
    done = call("run", "dpg", "--model", f"{tmp_path / 'mine.py'}:generate", *words, *more)
    assert done.code == 0, done.stderr
    record = done.record
    assert record["coverage"]["judged"] == 16
    found = verdicts(record)
    plain = BlipAnswerer(weights, "words", "cpu")
    for item in ("red", "blue", "green"):
        (expected,) = plain.answer([Image.new("RGB", (8, 8), item)], [f"Is it {item}?"])
        said = [one["output"] for one in found if one["item_id"] == item]
        assert said == [{"answers": {f"Is it {item}?": expected.text}}] * 4
    assert found[0]["judge"].startswith("blip@")


def test_a_folder_is_judged_over_an_endpoint(
    call: Cli, words: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image stalls and is failed alone; the same command again asks for that one only."""
    monkeypatch.setattr("lumina_eval.endpoint.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("lumina_eval.endpoint.RETRIES", 1)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    folder = tmp_path / "images"
    folder.mkdir()
    for place, item in enumerate(("red", "blue", "green")):
        for crop in range(4):
            shown = item if crop < 3 else "white"
            Image.new("RGB", (8 + place, 8), shown).save(folder / f"{item}_{crop}.png")
    server = ChatServer()
    server.script = lambda question, before: (503, {}) if "green" in question else ""
    with server.running():
        options = {"answerer": "endpoint", "url": server.url, "model": "m", "cache": str(tmp_path / "cache")}
        sets = [word for key, value in options.items() for word in ("--set", f"judge.{key}={value}")]
        command = ["judge", "dpg", "--images", folder, *words, *sets]
        done = call(*command)
        assert done.code == 4, done.stderr
        coverage = done.record["coverage"]
        assert (coverage["expected"], coverage["judged"], coverage["failed"]) == (12, 8, 4)
        assert "questions have no answer; number 0: the endpoint says HTTP 503" in done.stderr
        assert done.values["overall"] == pytest.approx(75)
        server.script = lambda question, before: ""
        before = len(server.requests)
        whole = call(*command)
    assert whole.code == 0, whole.stderr
    assert whole.values["overall"] == pytest.approx(75)
    assert len(server.requests) == before + 2, "two different green images; what was answered was kept"
    last = verdicts(whole.record)[-1]["output"]
    assert last == {
        "answers": {"Is it green?": "no"},
        "words": {"Is it green?": "no"},
        "yes_probability": {"Is it green?": None},
    }


def test_judges_that_cannot_be_opened_are_told(call: Cli, words: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "red_0.png")
    cases = {
        "judge.answerer=blib": "unknown judge.answerer 'blib'; did you mean blip?",
        "judge.answerer=blip": "expected the weights of BLIP",
        "judge.answerer=endpoint": "--set judge.url=http://127.0.0.1:8000/v1 --set judge.model=NAME",
        "judge.batch_size=0": "expected a whole number of at least 1 for judge.batch_size, found 0",
    }
    for change, told in cases.items():
        done = call("judge", "dpg", "--images", folder, *words, "--set", change)
        assert done.code == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
