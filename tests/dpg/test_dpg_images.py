"""From a folder of images to the score: a table of answers in the judge's place, known pictures.

The picture of item and crop has a colour of its own; the table answers by it, so a crop that is cut at the
wrong place, or given to another item, gets other answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpg_world import Cli, Done, csv_text
from PIL import Image

from benchmarks.dpg.adapter import Dpg
from benchmarks.dpg.judging import QuestionJudge
from benchmarks.judges.vqa.answering import Answer, UnansweredError
from lumina_eval.evaluation import find_protocol
from lumina_eval.plugins import injected
from lumina_eval.testing import check_judge

ROWS = [
    ("first", 1, "0", "entity - whole (cat)", "Is there a cat?"),
    ("first", 2, "1", "attribute - color (cat, red)", "Is the cat red?"),
    ("a", 1, "0", "entity - whole (dog)", "Is there a dog?"),
    ("a", 2, "1", "attribute - color (dog, blue)", "Is the dog blue?"),
    ("a", 3, "0", "global - (photo)", "Is it a photo?"),
    ("b", 1, "0", "entity - part (wheel)", "Is there a wheel?"),
]
ITEMS = ("first", "a", "b")
#: By item, a word for each crop, a letter for each question. Item a: 3/3, 1/3, 2/3, 1/3; item b: 3/4.
MARKS = {"first": ["yy", "ny", "yn", "yy"], "a": ["yyy", "nyy", "yyn", "ynn"], "b": ["y", "y", "n", "y"]}
OVERALL = 100 * ((1 + 1 / 3 + 2 / 3 + 1 / 3) / 4 + 3 / 4) / 2
SIDE = 6


def color(item: str, crop: int) -> tuple[int, int, int]:
    return (60 * ITEMS.index(item) + 20, 50 * crop + 10, 7)


def picture(item: str, crop: int, side: int = SIDE) -> Image.Image:
    return Image.new("RGB", (side, side), color(item, crop))


class Table:
    """Answers by the colour of the whole picture; a stranger's picture raises."""

    name = "table"
    digest = "0" * 64
    settings: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent: set[tuple[str, int]] = set()
        self.words = {"y": "yes", "n": "no"}

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        found: list[Answer | None] = []
        for image, question in zip(images, questions, strict=True):
            colors = {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}
            ((item, crop),) = ((i, c) for i in ITEMS for c in range(4) if {color(i, c)} == colors)
            texts = [row[4] for row in ROWS if row[0] == item]
            word = self.words[MARKS[item][crop][texts.index(question)]]
            self.asked.append(question)
            found.append(None if (item, crop) in self.silent else Answer(word))
        lost = {place: "it is silent" for place, answer in enumerate(found) if answer is None}
        if lost:
            raise UnansweredError(found, lost)
        return [answer for answer in found if answer is not None]


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def judged(call: Cli, table: Table, tmp_path: Path) -> Any:
    """Judge a folder: ``judged(folder, protocol, *more)``."""
    questions = tmp_path / "questions.csv"
    questions.write_text(csv_text(ROWS), newline="")

    def run(folder: Path, name: str = "official", *more: object) -> Done:
        with injected("judges", question=lambda options: QuestionJudge(table)):
            return call(
                "judge", "dpg", "--protocol", name, "--questions", questions, "--images", folder,
                "--out", tmp_path / "out", "--json", "--set", f"images.side={SIDE}", *more,
            )  # fmt: skip

    return run


def grids(folder: Path, items: Sequence[str] = ITEMS, side: int = SIDE, ending: str = ".png") -> Path:
    """The official layout, pasted together by numpy."""
    folder.mkdir(exist_ok=True)
    for item in items:
        cells = [np.asarray(picture(item, crop, side)) for crop in range(4)]
        whole = np.vstack([np.hstack(cells[:2]), np.hstack(cells[2:])])
        Image.fromarray(whole).save(folder / f"{item}{ending}")
    return folder


def test_a_folder_of_grids_to_the_score(judged: Any, table: Table, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images")
    (folder / "dpg-bench_20261121_results.txt").write_text("left there by the official script")
    done = judged(folder)
    assert done.code == 0, done.stderr
    assert done.values["overall"] == pytest.approx(OVERALL)
    assert done.values["l1/entity"] == 100
    assert done.record["coverage"] == {
        "expected": 12, "generated": 12, "judged": 12, "failed": 0, "excluded": 4,
    }  # fmt: skip
    assert len(table.asked) == 4 * len(ROWS), "all questions, whatever their parents' answers"
    verdicts = [
        json.loads(line) for line in Path(done.record["run_dir"], "verdicts.jsonl").read_text().splitlines()
    ]
    assert [(one["item_id"], one["index"]) for one in verdicts] == [(i, c) for i in ITEMS for c in range(4)]
    assert verdicts[5]["output"] == {
        "answers": {"Is there a dog?": "no", "Is the dog blue?": "yes", "Is it a photo?": "yes"}
    }
    assert len({one["image_sha256"] for one in verdicts}) == 12
    asked = len(table.asked)
    assert judged(folder).values == done.values
    assert len(table.asked) == asked, "what was judged is not judged again"


def test_the_corrected_rules_ask_nothing_more(judged: Any, tmp_path: Path) -> None:
    done = judged(grids(tmp_path / "images"), "corrected")
    first = (1 + 0 + 0.5 + 1) / 4
    assert done.values["overall"] == pytest.approx((2 * OVERALL + 100 * first) / 3)


@pytest.mark.parametrize("name", ["{item}_{crop}.png", "{item}/{crop:04d}.png", "{item}/{crop}.webp"])
def test_single_files_give_the_same_score(judged: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "images"
    for item in ITEMS:
        for crop in range(4):
            path = folder / name.format(item=item, crop=crop)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(item, crop).save(path, lossless=True)
    assert judged(folder).values["overall"] == pytest.approx(OVERALL)


def test_layouts_may_stand_side_by_side(judged: Any, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images", ["first", "a"], ending=".grid.png")
    for crop in range(4):
        picture("b", crop, 9).save(folder / f"b_{crop}.png")
    assert judged(folder).values["overall"] == pytest.approx(OVERALL)


def test_one_image_an_item(judged: Any, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for item in ITEMS:
        picture(item, 0).save(folder / f"{item}.png")
    done = judged(folder, "official", "--set", "images_per_prompt=1")
    assert done.code == 0
    assert done.values["overall"] == 100
    assert done.record["coverage"]["expected"] == 3


def test_images_that_are_absent_are_counted_and_named(judged: Any, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images", ["first", "a"])
    for crop in (0, 1, 3):
        picture("b", crop).save(folder / f"b_{crop}.png")
    done = judged(folder)
    assert done.code == 4
    coverage = done.record["coverage"]
    assert (coverage["expected"], coverage["judged"], coverage["failed"]) == (12, 11, 1)
    assert "image 2 of item b: no image in the folder" in done.stderr
    (folder / "a.png").write_bytes(b"no image")
    broken = judged(folder)
    assert (broken.code, broken.record["coverage"]["judged"]) == (4, 7)
    assert "of item a (a.png): the image cannot be read" in broken.stderr


def test_complete_asks_for_every_item(judged: Any, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images", ["first", "a"])
    assert judged(folder).code == 0
    done = judged(folder, "official", "--complete")
    assert (done.code, done.record["coverage"]["expected"]) == (4, 12)


def test_an_image_without_an_answer_has_no_verdict(judged: Any, table: Table, tmp_path: Path) -> None:
    table.silent = {("a", 1)}
    done = judged(grids(tmp_path / "images"))
    assert done.code == 4
    coverage = done.record["coverage"]
    assert (coverage["expected"], coverage["judged"], coverage["failed"]) == (12, 11, 1)
    assert "image 1 of item a (a.png): UnansweredError: 3 of 3 questions have no answer" in done.stderr
    assert "it is silent" in done.stderr
    expected = 100 * ((1 + 2 / 3 + 1 / 3) / 3 + 3 / 4) / 2
    assert done.values["overall"] == pytest.approx(expected)
    table.silent = set()
    assert judged(grids(tmp_path / "images")).values["overall"] == pytest.approx(OVERALL)


def test_answers_that_are_neither_are_kept_and_counted(judged: Any, table: Table, tmp_path: Path) -> None:
    table.words = {"y": "yes", "n": "nope"}
    done = judged(grids(tmp_path / "images"))
    assert done.values["overall"] == pytest.approx(OVERALL)
    assert any("'nope'" in text and "neither" in text for text in done.record["warnings"])


def test_a_name_that_is_no_items_is_excluded_or_refused(judged: Any, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images")
    Image.new("RGB", (5, 3)).save(folder / "ghost.png")
    done = judged(folder)
    assert done.code == 0
    assert done.record["coverage"]["excluded"] == 8
    assert done.values["overall"] == pytest.approx(OVERALL)
    assert "ghost (the question file does not have it)" in done.stderr
    refused = judged(folder, "corrected")
    assert refused.code == 2
    assert f"found {folder / 'ghost.png'}; fix:" in refused.stderr


@pytest.mark.parametrize("inner", ["0000.png", "cat.webp"])
def test_a_folder_of_images_that_is_no_items_is_excluded_or_refused(
    judged: Any, tmp_path: Path, inner: str
) -> None:
    folder = grids(tmp_path / "images")
    (folder / "logs").mkdir()
    (folder / "logs" / "notes.txt").write_text("no image")
    (folder / "ghost").mkdir()
    Image.new("RGB", (5, 3)).save(folder / "ghost" / inner)
    done = judged(folder)
    assert done.code == 0, done.stderr
    assert done.record["coverage"]["excluded"] == 8
    assert done.values["overall"] == pytest.approx(OVERALL)
    assert "ghost (the question file does not have it)" in done.stderr
    refused = judged(folder, "corrected")
    assert refused.code == 2
    assert f"found {folder / 'ghost' / inner}; fix:" in refused.stderr


def test_grids_are_held_to_the_side(judged: Any, tmp_path: Path) -> None:
    folder = grids(tmp_path / "images")
    wrong = judged(folder, "official", "--set", "images.side=5")
    assert wrong.code == 2
    assert "expected 10 by 10 pixels, four images of 5 by 5, found 12 by 12" in wrong.stderr
    Image.new("RGB", (12, 14)).save(folder / "b.png")
    assert "found 12 by 14" in judged(folder).stderr


@pytest.mark.parametrize("name", ["official", "corrected"])
def test_a_picture_is_not_cut_unless_it_is_said(judged: Any, table: Table, tmp_path: Path, name: str) -> None:
    folder = grids(tmp_path / "images")
    done = judged(folder, name, "--set", "images.side=0")
    assert done.code == 2
    assert f"of 3 files one like {folder / 'a.png'} (12 by 12) is a grid of four images of 6" in done.stderr
    assert "--set images.side=6 for grids; for one image an item --set images_per_prompt=1" in done.stderr
    assert not table.asked
    Image.new("RGB", (13, 13)).save(folder / "a.png")  # no grid, and not as most of them are
    assert "--set images.side=6 for grids" in judged(folder, name, "--set", "images.side=0").stderr
    for file in folder.glob("*.png"):
        Image.new("RGB", (1, 1)).save(file)
    done = judged(folder, name, "--set", "images.side=0")
    assert "no grid of four squares; fix: for one image an item --set images_per_prompt=1" in done.stderr


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "found none; fix: give the folder"),
        (["readme.txt"], "found none; fix: give the folder"),
        (["a.png", "a.jpg"], "expected each image of item 'a' once"),
        (["a.png", "a_1.png"], "expected each image of item 'a' once"),
        (["a_1.png", "a/0001.png"], "expected each image of item 'a' once"),
        (["a_4.png"], "expected images 0 to 3 of item 'a'"),
        (["a/0007.png"], "expected images 0 to 3 of item 'a'"),
    ],
)
def test_folders_that_cannot_be_read_are_told(
    judged: Any, tmp_path: Path, names: list[str], told: str
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name, "PNG")
    done = judged(folder)
    assert done.code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_written_is_the_official_layout(judged: Any, tmp_path: Path) -> None:
    bench = Dpg(tmp_path / "questions.csv")
    protocol = find_protocol(bench, "official")
    items = bench.items(protocol)
    paths = []
    for item in items:
        for crop in range(4):
            path = tmp_path / f"{len(paths)}.png"
            picture(item.id, crop).save(path)
            paths.append((item, crop, path))
    bench.write_images(tmp_path / "written", protocol, reversed(paths))
    expected = grids(tmp_path / "expected")
    assert sorted(path.name for path in (tmp_path / "written").iterdir()) == ["a.png", "b.png", "first.png"]
    for path in expected.iterdir():
        with Image.open(path) as one, Image.open(tmp_path / "written" / path.name) as other:
            assert np.array_equal(np.asarray(one), np.asarray(other))
    assert judged(tmp_path / "written").values["overall"] == pytest.approx(OVERALL)
    bench.write_images(tmp_path / "single", protocol, paths[::4])
    with Image.open(tmp_path / "single" / "a.png") as image:
        assert image.size == (SIDE, SIDE)


def test_images_that_make_no_grid_are_not_written(judged: Any, tmp_path: Path) -> None:
    bench = Dpg(tmp_path / "questions.csv")
    protocol = find_protocol(bench, "official")
    item, other = bench.items(protocol)[:2]
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for path in paths:
        Image.new("RGB", (4, 4)).save(path)
    four = list(enumerate(paths))
    cases = {
        r"found \[0, 1, 2\] of first": [(item, crop, path) for crop, path in four[:3]],
        r"found \[0\] of a": [*((item, crop, path) for crop, path in four), (other, 0, paths[0])],
        "without dots, found 'x.y'; fix: ": [(item.model_copy(update={"id": "x.y"}), 0, paths[0])],
        "without dots, found '../x'": [(item.model_copy(update={"id": "../x"}), 0, paths[0])],
        "of any item": [],
    }
    for told, given in cases.items():
        with pytest.raises(Exception, match=told):
            bench.write_images(tmp_path / "written", protocol, given)
    paths[3].write_bytes(b"no image")
    with pytest.raises(Exception, match=r"none that can be read, in .*3\.png; fix: "):
        bench.write_images(tmp_path / "written", protocol, [(item, crop, path) for crop, path in four])
    Image.new("RGB", (4, 6)).save(paths[3])
    with pytest.raises(Exception, match="one size, found 4 by 4, 4 by 6"):
        bench.write_images(tmp_path / "written", protocol, [(item, crop, path) for crop, path in four])
    assert not (tmp_path / "written").exists()


def test_it_is_a_judge(tmp_path: Path, judged: Any) -> None:
    bench = Dpg(tmp_path / "questions.csv")
    items = bench.items(find_protocol(bench, "official"))
    check_judge(QuestionJudge(Table()), [picture(item.id, 1) for item in items], items)


def test_decisions_are_what_the_rules_read_and_words_are_kept(judged: Any, tmp_path: Path) -> None:
    class Chooser(Table):
        def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
            return [Answer("Well", 0.75, "yes") for _ in questions]

    bench = Dpg(tmp_path / "questions.csv")
    item = bench.items(find_protocol(bench, "official"))[2]
    assert QuestionJudge(Chooser()).judge([picture("b", 0)], [item]) == [
        {
            "answers": {"Is there a wheel?": "yes"},
            "words": {"Is there a wheel?": "Well"},
            "yes_probability": {"Is there a wheel?": 0.75},
        }
    ]
