"""How much of a protocol came from elsewhere: fewer images per prompt are a subset, as in a run of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark
from PIL import Image

from lumina_eval.errors import UserError
from lumina_eval.external.expected import expect
from lumina_eval.records import Item

Judge = Callable[..., Any]
#: Images per prompt of the protocol, and its prompts.
USUAL, PROMPTS = 2, 6


@pytest.fixture(params=["--images", "--verdicts"])
def judge(request: pytest.FixtureRequest, call: Cli, tmp_path: Path) -> Judge:
    """Judge images by prompt and index, once in a folder and once as saved verdicts."""

    def run(counts: list[int], *more: object) -> Any:
        places = [(f"{item:05d}", index) for item, count in enumerate(counts) for index in range(count)]
        if request.param == "--images":
            source = tmp_path / "made"
            source.mkdir(exist_ok=True)
            for item, index in places:
                Image.new("RGB", (8, 8), "red").save(source / f"{item}_{index}.png")
        else:
            source = tmp_path / "saved.jsonl"
            lines = [{"item": item, "index": index, "output": {"red": 1.0}} for item, index in places]
            source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        words = ["judge", "fake", "--protocol", "plain", request.param, source, "--out", tmp_path / "out"]
        return call(*words, "--json", *more)

    return run


def test_fewer_images_per_prompt_are_called_as_in_a_run(
    judge: Judge, call: Cli, run_words: list[Any]
) -> None:
    ours = call(*run_words, "--images-per-prompt", 1, "--json").records[0]
    for more in ([], ["--images-per-prompt", 1], ["--images-per-prompt", 1, "--complete"]):
        done = judge([1] * PROMPTS, *more)
        assert done.code == 0
        assert done.records[0]["subset"] == ours["subset"] == "1 of 2 images per prompt"
        manifest = json.loads(Path(done.records[0]["run_dir"], "manifest.json").read_text())
        assert manifest["subset"] == ours["subset"]
        assert manifest["images_per_prompt"] == 1


def test_a_part_of_the_prompts_and_of_the_images_are_both_named(judge: Judge) -> None:
    found = judge([1] * 3).records[0]
    assert found["subset"] == "3 of 6 prompts, those that were given, 1 of 2 images per prompt"


@pytest.mark.parametrize("count", [USUAL, USUAL + 1])
def test_all_images_of_the_protocol_and_more_are_no_subset(judge: Judge, count: int) -> None:
    done = judge([count] * PROMPTS)
    assert (done.code, done.records[0]["subset"]) == (0, None)
    assert done.records[0]["coverage"]["expected"] == PROMPTS * count


def test_all_that_is_demanded_is_absent_and_no_subset(judge: Judge) -> None:
    done = judge([1] * PROMPTS, "--complete")
    assert (done.code, done.records[0]["subset"]) == (4, None)
    coverage = done.records[0]["coverage"]
    assert (coverage["expected"], coverage["judged"]) == (PROMPTS * USUAL, PROMPTS)


def test_more_images_than_are_asked_for_are_refused(judge: Judge, tmp_path: Path) -> None:
    done = judge([1, 2, 3], "--images-per-prompt", 1)
    assert done.code == 2
    assert "beyond the 1 of --images-per-prompt, found image 1 of item 00001 and 2 more" in done.stderr
    assert "00001_1.png; fix:" in done.stderr or "saved.jsonl; fix:" in done.stderr
    assert "fix: --images-per-prompt 3" in done.stderr
    assert not (tmp_path / "out" / "runs").exists()
    assert judge([1, 2, 3], "--images-per-prompt", 3).code == 4


def test_a_file_of_verdicts_is_a_subset_where_any_prompt_has_fewer(call: Cli, tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    places = [(f"{item:05d}", index) for item in range(PROMPTS) for index in range(USUAL)]
    lines = [{"item": item, "index": index, "output": {"red": 1.0}} for item, index in places]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))
    done = call(
        "judge", "fake", "--protocol", "plain", "--verdicts", file, "--out", tmp_path / "out", "--json"
    )
    assert (done.code, done.records[0]["subset"]) == (0, "1 to 2 of 2 images per prompt")


def test_a_run_judged_again_is_the_subset_that_it_was(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    run = call(*run_words, "--images-per-prompt", 1, "--json").records[0]
    words = ["judge", "fake", "--protocol", "plain", "--verdicts", f"{run['run_dir']}/verdicts.jsonl"]
    words += ["--out", tmp_path / "again", "--json"]
    again = call(*words)
    assert (again.code, again.records[0]["subset"]) == (0, run["subset"])
    whole = call(*run_words, "--json").records[0]
    words[5] = f"{whole['run_dir']}/verdicts.jsonl"
    assert call(*words).records[0]["subset"] is None
    fewer = call(*words, "--images-per-prompt", 1)
    assert fewer.code == 2
    assert f"in {words[5]}; fix: --images-per-prompt 2" in fewer.stderr


def test_a_path_without_a_file_is_no_image_too_many(call: Cli, world: FakeBenchmark, tmp_path: Path) -> None:
    """A layout may name absent images; those that nobody asks for are not missed."""
    folder = tmp_path / "made"
    folder.mkdir()
    items = [Item(id=f"{n:05d}", prompt=f"prompt {n}", task="odd" if n % 2 else "even") for n in range(6)]
    for item in items:
        Image.new("RGB", (8, 8), "red").save(folder / f"{item.id}_0.png")

    def read_images(folder: Path, protocol: Any) -> list[tuple[Item, int, Path]]:
        return [(item, index, folder / f"{item.id}_{index}.png") for item in items for index in range(2)]

    world.read_images = read_images  # type: ignore[method-assign]
    words = ["judge", "fake", "--protocol", "plain", "--images", folder, "--out", tmp_path / "out", "--json"]
    done = call(*words)
    assert (done.code, done.records[0]["subset"]) == (4, None)
    assert done.records[0]["coverage"]["expected"] == 12
    one = call(*words, "--images-per-prompt", 1)
    assert (one.code, one.records[0]["subset"]) == (0, "1 of 2 images per prompt")
    assert one.records[0]["coverage"]["expected"] == 6


def test_what_is_expected_needs_neither_files_nor_prompts() -> None:
    items = [Item(id=name, prompt=name, task="t") for name in "aab"]
    places = {("a", 0): Path("f"), ("a", 1): Path("f"), ("b", 0): Path("f")}
    whole = expect(items, places, None, 2)
    assert [item.id for item in whole.items] == ["a", "b"]
    assert (whole.images, whole.absent, whole.images_per_prompt) == (3, (), 2)
    assert whole.subset == "the 2 prompts that were given, 1 to 2 of 2 images per prompt"
    held = expect(items, places, items[1:], 2, held=2)
    assert (held.images, held.absent, held.subset) == (4, (("b", 1),), None)
    (failure,) = held.failures("why")
    assert (failure["item_id"], failure["index"], failure["reason"]) == ("b", 1, "why")
    with pytest.raises(UserError, match="found image 1 of item a"):
        expect(items, places, None, 2, asked=1)
