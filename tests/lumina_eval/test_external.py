"""Images that were made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark
from PIL import Image

from lumina_eval.plugins import injected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    for item in range(3):
        for index in range(2):
            Image.new("RGB", (8, 8), "red" if item else "blue").save(made / f"{item:05d}_{index}.png")
    return made


def words(folder: Path, tmp_path: Path, *more: object) -> list[Any]:
    return [
        "judge",
        "fake",
        "--protocol",
        "plain",
        "--images",
        folder,
        "--out",
        tmp_path / "out",
        "--json",
        *more,
    ]


def test_expected_is_what_the_folder_names(call: Cli, folder: Path, tmp_path: Path) -> None:
    done = call(*words(folder, tmp_path))
    assert done.code == 0
    (record,) = done.records
    assert record["coverage"] == {"expected": 6, "generated": 6, "judged": 6, "failed": 0, "excluded": 0}
    assert record["metrics"][0]["value"] == pytest.approx((0.5 + 1) / 2)  # even: 0 and 2, odd: 1


def test_a_prompt_with_fewer_images_than_the_others_is_incomplete(
    call: Cli, folder: Path, tmp_path: Path
) -> None:
    (folder / "00001_1.png").unlink()
    done = call(*words(folder, tmp_path))
    assert done.code == 4
    assert done.records[0]["coverage"]["expected"] == 6
    assert done.records[0]["coverage"]["failed"] == 1


def test_a_gap_is_an_image_that_is_missing_though_no_prompt_has_more(
    call: Cli, folder: Path, tmp_path: Path
) -> None:
    for item in range(3):
        (folder / f"{item:05d}_0.png").unlink()
    done = call(*words(folder, tmp_path))
    assert done.code == 4
    assert done.records[0]["coverage"] == {
        "expected": 6, "generated": 3, "judged": 3, "failed": 3, "excluded": 0,
    }  # fmt: skip
    assert "image 0 of item 00000: no image in the folder" in done.stderr
    failures = Path(done.records[0]["run_dir"], "failures.jsonl").read_text().splitlines()
    assert [(json.loads(line)["item_id"], json.loads(line)["index"]) for line in failures] == [
        ("00000", 0), ("00001", 0), ("00002", 0),
    ]  # fmt: skip


def test_an_unreadable_image_is_a_failure(call: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "00001_1.png").write_bytes(b"no image")
    done = call(*words(folder, tmp_path))
    assert done.code == 4
    assert "judge failed for image 1 of item 00001 (00001_1.png): the image cannot be read" in done.stderr
    (failure,) = Path(done.records[0]["run_dir"], "failures.jsonl").read_text().splitlines()
    assert json.loads(failure)["file"] == "00001_1.png"


def test_more_images_can_be_demanded(call: Cli, folder: Path, tmp_path: Path) -> None:
    assert call(*words(folder, tmp_path, "--images-per-prompt", 4)).records[0]["coverage"]["expected"] == 12
    whole = call(*words(folder, tmp_path, "--complete"))
    assert whole.code == 4
    assert whole.records[0]["coverage"] == {
        "expected": 12, "generated": 6, "judged": 6, "failed": 6, "excluded": 0,
    }  # fmt: skip


def test_a_changed_image_is_another_run(call: Cli, folder: Path, tmp_path: Path) -> None:
    first = call(*words(folder, tmp_path)).records[0]
    Image.new("RGB", (8, 8), "red").save(folder / "00000_0.png")
    second = call(*words(folder, tmp_path)).records[0]
    assert first["run_dir"] != second["run_dir"]
    assert second["metrics"][0]["value"] > first["metrics"][0]["value"]
    assert call(*words(folder, tmp_path)).records[0]["metrics"] == second["metrics"]


def test_a_rule_changes_without_judging_again(
    call: Cli, run_words: list[Any], world: FakeBenchmark, tmp_path: Path
) -> None:
    run = call(*run_words, "--json").records[0]
    calls = world.the_judge.calls
    words = ["judge", "fake", "--protocol", "plain", "--verdicts", f"{run['run_dir']}/verdicts.jsonl"]
    again = call(*words, "--out", tmp_path / "again", "--json").records[0]
    strict = call(*words, "--set", "threshold=1.0", "--out", tmp_path / "again", "--json").records[0]
    assert again["metrics"] == run["metrics"]
    assert again["coverage"] == run["coverage"]
    assert strict["metrics"][0]["value"] == 0
    assert world.the_judge.calls == calls


def test_verdicts_of_another_benchmark_are_refused(
    call: Cli, run_words: list[Any], world: FakeBenchmark, tmp_path: Path
) -> None:
    run = call(*run_words, "--json").records[0]
    file = f"{run['run_dir']}/verdicts.jsonl"
    with injected("benchmarks", other=world):
        done = call("judge", "other", "--protocol", "plain", "--verdicts", file, "--out", tmp_path / "again")
    assert done.code == 2
    assert "expected verdicts of other, found those of fake" in done.stderr


def test_saved_verdicts_are_whole_as_they_are_unless_more_is_demanded(call: Cli, tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    places = [("00000", 0, 1.0), ("00000", 1, 0.0), ("00001", 0, 1.0)]
    lines = [{"item": item, "index": index, "output": {"red": red}} for item, index, red in places]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["judge", "fake", "--protocol", "plain", "--verdicts", file, "--out", tmp_path / "out", "--json"]
    done = call(*words)
    assert done.code == 0
    assert done.records[0]["coverage"]["expected"] == done.records[0]["coverage"]["judged"] == 3
    assert done.records[0]["metrics"][0]["value"] == pytest.approx(0.75)
    assert call(*words, "--images-per-prompt", 2).code == 4
    given = "2 of 6 prompts, those that were given"
    assert done.records[0]["subset"] == f"{given}, 1 to 2 of 2 images per prompt"
    whole = call(*words, "--complete").records[0]
    assert whole["coverage"]["expected"] == 12
    assert whole["subset"] is None
    strict = call(*words, "--set", "threshold=1.0").records[0]
    assert strict["metrics"][0]["value"] == 0
    assert strict["changed"] == ["threshold=1.0"]


def test_a_benchmark_that_judges_prompts_as_a_whole_names_the_images_without_verdict(
    call: Cli, world: FakeBenchmark, tmp_path: Path
) -> None:
    world.whole_prompts = True  # type: ignore[attr-defined]
    file = tmp_path / "saved.jsonl"
    places = [("00000", 0), ("00000", 1), ("00001", 1)]
    lines = [{"item": item, "index": index, "output": {"red": 1.0}} for item, index in places]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = call(
        "judge", "fake", "--protocol", "plain", "--verdicts", file, "--out", tmp_path / "out", "--json"
    )
    assert done.code == 4
    coverage = done.records[0]["coverage"]
    assert (coverage["expected"], coverage["judged"], coverage["failed"]) == (4, 3, 1)
    assert "judge failed for image 0 of item 00001: no verdict in the file" in done.stderr


def test_what_a_benchmark_does_not_take_is_told_with_what_it_takes(call: Cli, tmp_path: Path) -> None:
    words = ["judge", "fake", "--protocol", "plain", "--features", tmp_path / "rows.npz"]
    done = call(*words, "--out", tmp_path / "out")
    assert done.code == 2
    said = "expected a benchmark that takes --features, found fake; fix: give --images DIR or --verdicts FILE"
    assert said in " ".join(done.stderr.split())
    files = ["--images", tmp_path, "--write-statistics", tmp_path / "mu.npz"]
    done = call("judge", "fake", "--protocol", "plain", *files, "--out", tmp_path / "out")
    assert done.code == 2
    assert "takes --write-statistics, found fake; fix: leave the option out" in done.stderr


def test_a_benchmark_with_questions_of_its_own_takes_none(call: Cli, tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    file.touch()
    words = ["--protocol", "plain", "--questions", file]
    for command in (["judge", "fake", "--verdicts", file, "--out", tmp_path / "out"], ["prompts", "fake"]):
        done = call(*command, *words)
        assert done.code == 2
        assert "expected no --questions for benchmark fake" in done.stderr
