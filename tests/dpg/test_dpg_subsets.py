"""Fewer crops of an item than a grid has are a subset; none is passed over for a smaller number asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from dpg_world import Cli, csv_text, verdict_text
from PIL import Image

from lumina_eval.plugins import injected

ROWS = [
    ("first", 1, "0", "entity - whole (cat)", "Is there a cat?"),
    ("a", 1, "0", "entity - whole (dog)", "Is there a dog?"),
]


def verdicts(crops: int) -> str:
    asked = {"first": "Is there a cat?", "a": "Is there a dog?"}
    return verdict_text({item: {n: {text: "yes"} for n in range(crops)} for item, text in asked.items()})


@pytest.mark.parametrize(("crops", "subset"), [(1, "1 of 4 images per prompt"), (4, None)])
def test_crops_of_a_grid_are_counted_against_the_protocol(judge: Cli, crops: int, subset: str | None) -> None:
    done = judge(csv_text(ROWS), verdicts(crops))
    assert (done.code, done.record["subset"], done.record["coverage"]["judged"]) == (0, subset, 2 * crops)


def test_a_file_of_four_crops_is_no_file_of_one(judge: Cli) -> None:
    done = judge(csv_text(ROWS), verdicts(4), "official", "--images-per-prompt", 1)
    assert done.code == 2
    assert "found image 1 of item first and 5 more" in done.stderr


def test_a_grid_of_four_is_no_single_image(call: Cli, tmp_path: Path) -> None:
    questions, folder = tmp_path / "questions.csv", tmp_path / "grids"
    questions.write_text(csv_text(ROWS), newline="")
    folder.mkdir()
    Image.new("RGB", (12, 12), "red").save(folder / "a.png")
    with injected("judges", question=lambda options: pytest.fail("opened before the numbers were looked at")):
        done = call(
            "judge", "dpg", "--questions", questions, "--images", folder, "--out", tmp_path / "out",
            "--set", "images.side=6", "--images-per-prompt", 1,
        )  # fmt: skip
    assert done.code == 2
    assert (
        f"found image 1 of item a and 2 more (indices begin with 0), in {folder}/a.png; fix: " in done.stderr
    )
