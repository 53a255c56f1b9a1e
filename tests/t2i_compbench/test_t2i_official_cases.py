"""The rules against what the official scripts gave."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.nouns import NOUNS
from benchmarks.t2i_compbench.objects import PEOPLE
from benchmarks.t2i_compbench.prompt_set import CATEGORIES, kind_of
from benchmarks.t2i_compbench.rules import determine_position_2d, determine_position_3d, pre_question

pytestmark = pytest.mark.parity

#: Main loops of the official scripts: fixture, category, changed protocol values, depth map.
LOOPS = [
    ("spatial2d_main_simple.json", "spatial", [], None),
    ("spatial2d_main_complex.json", "spatial", ["--set", "spatial.complex=true"], None),
    ("spatial3d_main.json", "3d_spatial", [], "depth_map_480_rowramp.npy"),
    ("numeracy_main.json", "numeracy", [], None),
]


def load(shared: Path, name: str) -> Any:
    file = shared / "fixtures" / "t2i" / name
    if not file.exists():
        pytest.skip(f"{name} is not at hand")
    return json.loads(file.read_text(encoding="utf-8"))


def prompts(shared: Path, name: str) -> list[str]:
    text = (shared / "data" / "t2i_compbench" / "examples" / "dataset" / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_positions_in_the_plane(shared: Path) -> None:
    cases = load(shared, "determine_position_2d.json")
    assert len(cases) >= 600
    for case in cases:
        found = determine_position_2d(case["locality"], case["box1"], case["box2"])
        assert found == pytest.approx(case["score"], abs=1e-12), case


def test_positions_in_depth(shared: Path) -> None:
    cases = load(shared, "determine_position_3d.json")["cases"]
    depth = np.load(shared / "fixtures" / "t2i" / "depth_map_64x96.npy")
    assert len(cases) >= 125
    for case in cases:
        found = determine_position_3d(case["locality"], case["box1"], case["box2"], depth)
        assert found == pytest.approx(case["score"], abs=1e-12), case


@pytest.mark.parametrize(("name", "category", "changes", "depth"), LOOPS)
def test_whole_loops(
    shared: Path, write: Any, judge: Any, name: str, category: str, changes: list[str], depth: str | None
) -> None:
    case = load(shared, name)
    more = {"depth": str(shared / "fixtures" / "t2i" / depth)} if depth else {}
    file = write(
        *(
            {"filename": i["file"], "category": category, "tokens": i["pos"], "detections": i["det"], **more}
            for i in case["items"]
        )
    )
    told = judge(file, *changes)
    assert told.code == 0, told.stderr
    found = {row["question_id"]: row["answer"] for row in told.answers}
    wanted = {row["question_id"]: row["answer"] for row in case["expected"]}
    assert found == pytest.approx(wanted, abs=1e-9)
    assert told.value(category) == pytest.approx(sum(wanted.values()) / len(wanted), abs=1e-9)
    if name == "spatial2d_main_simple.json":
        assert found == wanted, "to the last bit"
        summary = (Path(told.record["run_dir"]) / "summary.txt").read_text()
        assert summary == f"spatial: {case['expected_avg_file']}\n"


@pytest.mark.parametrize("category", ["color", "shape", "texture"])
def test_products_of_answers(
    shared: Path, write: Callable[..., Path], judge: Callable[..., Any], category: str
) -> None:
    case = load(shared, "blip_vqa_product.json")
    unasked, lines = ("top", "the side", "the left", "the right"), []
    for image, filename in enumerate(case["files"]):
        texts = case["noun_chunks"][filename.split("_")[0]]
        numbers = iter(range(case["np_num"]))
        phrases = [
            {
                "text": text,
                "yes_probability": None
                if text in unasked
                else case["yes_probability_unrounded"][f"{image},{next(numbers)}"],
            }
            for text in texts
        ]
        lines.append({"filename": filename, "category": category, "phrases": phrases})
    told = judge(write(*reversed(lines)))
    assert told.code == 0, told.stderr
    rows = [{key: row[key] for key in ("question_id", "answer")} for row in told.answers]
    assert rows == case["expected"], "in the official order too, whatever the order of the lines"
    summary = (Path(told.record["run_dir"]) / "summary.txt").read_text()
    assert summary == f"{category}: {case['expected_score_file']}\n"
    assert told.value(category) == pytest.approx(float(summary.split(":")[-1]), abs=1e-12)


def test_questions(shared: Path) -> None:
    for text, expected in load(shared, "blip_vqa_product.json")["pre_question"].items():
        assert pre_question(text) == expected


def dataset(shared: Path) -> Path:
    folder = shared / "data" / "t2i_compbench" / "examples" / "dataset"
    if not folder.is_dir():
        pytest.skip("the official prompts are not at hand")
    return folder


def test_prompts_are_read_from_the_official_folder(shared: Path, protocol: Any) -> None:
    items = T2ICompBench().with_questions(dataset(shared)).items(protocol("official"))
    assert len(items) == len({item.id for item in items}) == 2400
    for category in CATEGORIES:
        found = [item.prompt for item in items if item.task == category]
        assert found == prompts(shared, f"{category}_val.txt")


def test_kinds_are_those_of_the_official_files(shared: Path) -> None:
    parts = [("spatial", "spatial", 58), ("action", "action", 212), ("spatialaction", "both", 30)]
    for name, kind, count in parts:
        found = prompts(shared, f"complex_val_{name}.txt")
        assert len(found) == count
        assert {kind_of(prompt) for prompt in found} == {kind}


def test_nouns_are_those_of_the_official_file(shared: Path) -> None:
    pairs = zip(NOUNS.singulars, NOUNS.plurals, strict=True)
    assert {f"{one} - {many}" for one, many in pairs} == set(prompts(shared, "new_objects.txt"))


def test_a_third_of_the_spatial_prompts_cannot_score(shared: Path) -> None:
    """The ceiling that the CARD names: 100 prompts name an object that is no exact label of the detector."""
    labels = json.loads((shared / "data" / "t2i_compbench" / "unidet_label_names.json").read_text())
    possible = 0
    for prompt in prompts(shared, "spatial_val.txt"):
        match = re.fullmatch(r"an? (\w+) (?:on|next|near).* an? (\w+)", prompt)
        assert match, prompt
        possible += all(("person" if name in PEOPLE else name) in labels for name in match.groups())
    assert possible == 200
