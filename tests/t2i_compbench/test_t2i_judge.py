"""Saved verdicts through the command line: what comes out, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.prompt_set import CATEGORIES
from lumina_eval.errors import UserError
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol

Make = Callable[..., ResolvedProtocol]
Write = Callable[..., Path]

TOKENS = [["a", "DET"], ["dog", "NOUN"], ["near", "ADP"], ["a", "DET"], ["cat", "NOUN"]]
DOG, CAT = [0.0, 0.0, 10.0, 10.0, 1.0, "dog"], [0.0, 0.0, 10.0, 12.0, 0.5, "cat"]


def color(number: int = 0, probability: float | None = 0.5, prompt: str = "a red dog") -> dict[str, Any]:
    phrases = [{"text": prompt, "yes_probability": probability}]
    return {"filename": f"{prompt}_{number:06d}.png", "category": "color", "phrases": phrases}


def spatial(**changes: Any) -> dict[str, Any]:
    base = {
        "filename": "samples/a dog near a cat_000000.png",
        "category": "spatial",
        "tokens": TOKENS,
        "detections": [DOG, CAT],
    }
    return {**base, **changes}


def depth(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    (tmp_path / "depth").mkdir(exist_ok=True)
    ramp = np.tile(np.arange(16, dtype=np.float32)[::-1, None] / 16, (1, 16))  # nearer in the upper rows
    np.save(tmp_path / "depth" / "0.npy", ramp)
    return {
        "filename": "a dog in front of a cat_000000.png",
        "category": "3d_spatial",
        "tokens": TOKENS,
        "detections": [[0.0, 0.0, 12.0, 10.0, 1.0, "dog"], [0.0, 0.0, 12.0, 12.0, 1.0, "cat"]],
        "depth": "depth/0.npy",
        **changes,
    }


def numeracy(**changes: Any) -> dict[str, Any]:
    base = {
        "filename": "two dogs_000000.png",
        "category": "numeracy",
        "tokens": [["two", "NUM"], ["dogs", "NOUN"]],
        "detections": [DOG],
    }
    return {**base, **changes}


def similarity(value: Any = 0.25, number: int = 0) -> dict[str, Any]:
    return {"filename": f"A man reads._{number:06d}.png", "category": "non_spatial", "similarity": value}


def of_kind(kind: str, number: int = 0) -> str:
    return f"A {kind} scene with a red cube._{number:06d}.png"


def complex_(kind: str = "both", **changes: Any) -> dict[str, Any]:
    scores = {"attribute": 0.5, "spatial": 0.75, "action": 0.25}
    return {"filename": of_kind(kind), "category": "complex", "scores": scores, **changes}


pytestmark = pytest.mark.usefixtures("kinds")


def test_it_is_a_benchmark(protocol: Make, prompt_files: Any) -> None:
    folder, words = prompt_files
    pins = [word for word in words if "sha256" in str(word)]
    bench = T2ICompBench().with_questions(folder)
    assert isinstance(bench, Benchmark)
    assert len(bench.items(protocol("official", pins))) == 2400
    assert protocol("official").suite("standard").images_per_prompt == 10
    some = protocol("official", [*pins, 'prompts.categories=["shape"]'])
    lines = list(bench.prompt_lines(some))
    assert len(lines) == 300
    assert lines[299] == "a shape thing and thing number 299"


def test_the_prompts_are_the_user_s_and_pinned(protocol: Make, prompt_files: Any, tmp_path: Path) -> None:
    folder, _ = prompt_files
    with pytest.raises(UserError, match=r"none .not shipped.*Karine-Huang/T2I-CompBench at commit 1b7094"):
        T2ICompBench().items(protocol("official"))
    with pytest.raises(UserError, match=r"sha256 1634259756db.*color_val.txt"):
        T2ICompBench().with_questions(folder).items(protocol("official"))
    with pytest.raises(UserError, match=r"No such file .*color_val.txt"):
        T2ICompBench().with_questions(tmp_path / "nowhere").items(protocol("official"))


def test_every_category_has_its_metric(tmp_path: Path, write: Write, judge: Any) -> None:
    shape, texture = ({**color(), "category": name} for name in ("shape", "texture"))
    told = judge(
        write(
            *(complex_(), similarity(), numeracy(), depth(tmp_path), spatial(), texture, shape, color()),
            "  ",
        )
    )
    assert told.code == 0, told.stderr
    expected = {
        "color": 0.5,
        "shape": 0.5,
        "texture": 0.5,
        "spatial": 0.875,
        "3d_spatial": 0.5,  # x is taken for the row, and in x both boxes are alike
        "numeracy": 0.5,
        "non_spatial": 0.25,
        "complex": 0.5,
    }
    assert {metric["name"]: metric["value"] for metric in told.record["metrics"]} == pytest.approx(expected)
    assert [row["category"] for row in told.answers] == list(CATEGORIES)
    assert told.answers[0] == {
        "question_id": 0,
        "answer": "0.5000",
        "category": "color",
        "filename": "a red dog_000000.png",
    }
    assert told.record["coverage"]["expected"] == told.record["coverage"]["judged"] == 8


def test_the_examples_of_the_card_are_verdicts(tmp_path: Path, write: Write, judge: Any) -> None:
    card = resources.files("benchmarks.t2i_compbench").joinpath("CARD.md").read_text(encoding="utf-8")
    lines = [line for line in card.splitlines() if line.startswith("{") and '"category"' in line]
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth" / "000030.npy", np.zeros((480, 480), dtype=np.float32))
    told = judge(write(*lines))
    assert told.code == 0, told.stderr
    categories = [row["category"] for row in told.answers]
    assert categories == [name for name in CATEGORIES if name not in ("shape", "texture")]


def test_corrected_reads_depth_where_the_box_is(tmp_path: Path, write: Write, judge: Any) -> None:
    file = write(depth(tmp_path), spatial(filename="a dog on top of a cat_000003.png"))
    for name, values in [("official", (0.5, 0.0)), ("corrected", (1.0, 0.0))]:
        told = judge(file, "--protocol", name)
        assert (told.value("3d_spatial"), told.value("spatial")) == values, name
    low = [[0, 40, 10, 50, 1.0, "cat"], DOG]
    file = write(spatial(filename="a dog on top of a cat_000003.png", detections=low))
    assert judge(file).value("spatial") == 0.5
    assert judge(file, "--protocol", "corrected").value("spatial") == 1.0


def test_the_unit_is_the_prompt_and_order_is_by_number(write: Write, judge: Any) -> None:
    lines = [color(n, n / 40, prompt) for n, prompt in enumerate(["a red dog", "a blue cat"] * 10)]
    told = judge(write(*lines[::-1]))
    (metric,) = (metric for metric in told.record["metrics"] if metric["value"] is not None)
    assert told.record["metrics"][0] == metric, "what was measured comes first"
    assert (metric["n_prompts"], metric["n_images"]) == (2, 20)
    assert metric["value"] == pytest.approx(np.mean([n / 40 for n in range(20)]))
    for interval in ("ci_seeds", "ci_prompts"):
        assert metric[interval][0] < metric["value"] < metric[interval][1]
    assert [row["question_id"] for row in told.answers] == list(range(20))
    scores = (Path(told.record["run_dir"]) / "scores.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in scores] == [n // 2 for n in range(20)]


def test_the_order_of_lines_changes_nothing(tmp_path: Path, write: Write, judge: Any) -> None:
    lines = [*(color(n, n / 7) for n in range(8)), *(similarity(n / 9, n) for n in range(5)), depth(tmp_path)]
    first = judge(write(*lines))
    second = judge(write(*lines[::-1]))
    assert first.record["metrics"] == second.record["metrics"]
    assert first.answers == second.answers


def test_nearness_may_stand_in_the_line_instead_of_a_depth_map(
    tmp_path: Path, write: Write, judge: Any
) -> None:
    mapped, plain = depth(tmp_path), depth(tmp_path, nearness=[[0.25, 0.75], [0.25, 0.5]])
    del plain["depth"]
    for name in ("official", "corrected"):
        wanted = judge(write(mapped), "--protocol", name)
        told = judge(write(plain, name="plain.jsonl"), "--protocol", name)
        assert told.code == 0, told.stderr
        assert told.value("3d_spatial") == wanted.value("3d_spatial"), name
    for bad, message in [
        ([[0.1, 0.2]], "expected nearness of 2 detections, found 1"),
        ([[0.1, 0.2], [0.1]], "nearness[1]: expected two numbers or null"),
        ([[0.1, 0.2], ["0.1", None]], "nearness[1]: expected two numbers or null"),
    ]:
        told = judge(write(depth(tmp_path, nearness=bad)))
        assert (told.code, message in told.stderr) == (2, True), told.stderr


def test_a_run_folder_is_scored_again_without_its_depth_maps(
    tmp_path: Path, write: Write, judge: Any
) -> None:
    told = judge(write(depth(tmp_path), complex_("spatial"), color(1), spatial()))
    (tmp_path / "depth" / "0.npy").unlink()
    saved = Path(told.record["run_dir"]) / "verdicts.jsonl"
    again = judge(saved, "--set", "base_seed=1")
    assert again.code == 0
    assert again.record["metrics"] == told.record["metrics"]
    assert again.answers == told.answers
    mended = judge(saved, "--protocol", "corrected")
    assert mended.value("3d_spatial") == 1.0
    changed = judge(saved, "--set", "spatial.least=0.9")
    assert changed.value("spatial") == 0
    assert changed.record["changed"] == ["spatial.least=0.9"]


def test_another_depth_map_is_another_run(tmp_path: Path, write: Write, judge: Any) -> None:
    file = write(depth(tmp_path))
    first = judge(file, "--protocol", "corrected")
    np.save(tmp_path / "depth" / "0.npy", np.load(tmp_path / "depth" / "0.npy")[::-1])
    second = judge(file, "--protocol", "corrected")
    assert first.record["run_dir"] != second.record["run_dir"]
    assert (first.value("3d_spatial"), second.value("3d_spatial")) == (1.0, 0.5)


def test_coverage_is_what_is_asked_for(write: Write, judge: Any, prompt_files: Any) -> None:
    file = write(color(0), color(1), color(2, prompt="a color thing and thing number 0"))
    assert judge(file).code == 0
    ten = judge(file, "--images-per-prompt", 10)
    assert ten.code == 4
    assert ten.record["coverage"] == {
        "expected": 20, "generated": 3, "judged": 3, "failed": 17, "excluded": 0,
    }  # fmt: skip
    whole = judge(file, "--complete", "--set", 'prompts.categories=["color"]', *prompt_files[1])
    assert whole.code == 4
    assert whole.record["coverage"]["expected"] == 300 * 10 + 10, "and ten of a prompt of one's own"


def test_all_of_a_category_is_complete(write: Write, judge: Any, prompt_files: Any) -> None:
    lines = [color(n, 1.0, f"a color thing and thing number {n}") for n in range(300)]
    words = [
        "--complete",
        "--set",
        'prompts.categories=["color"]',
        "--images-per-prompt",
        1,
        *prompt_files[1],
    ]
    told = judge(write(*lines), *words)
    assert told.code == 0
    assert told.record["metrics"][0]["ci_prompts"][0] < 1, "a perfect score is never certain"
    assert judge(write(*lines[1:]), *words).code == 4


def test_a_cosine_below_zero_is_taken_as_it_is(write: Write, judge: Any) -> None:
    told = judge(
        write(
            similarity(-0.25, 0),
            similarity(0.0, 1),
            complex_("action", scores={"attribute": 0, "action": -0.5}),
        )
    )
    assert told.code == 0
    assert told.value("non_spatial") == -0.125
    assert told.value("complex") == -0.25


@pytest.mark.parametrize(("kind", "value"), [("spatial", 0.625), ("action", 0.375), ("both", 0.5)])
def test_complex_prompts_by_what_they_ask_for(write: Write, judge: Any, kind: str, value: float) -> None:
    assert judge(write(complex_(kind))).value("complex") == value
    loud = complex_(kind, filename=of_kind(kind).upper().replace(".PNG", ".png"))
    assert judge(write(loud)).value("complex") == value, "case does not matter"


def test_complex_scores_can_be_made_by_the_rules(write: Write, judge: Any) -> None:
    raw = {
        "filename": "a small dog next to a big cat_000004.png",  # of our own: it asks for all three
        "category": "complex",
        "phrases": color()["phrases"],
        "tokens": TOKENS,
        "detections": [DOG, CAT],
        "similarity": 0.25,
    }
    assert judge(write(raw)).value("complex") == pytest.approx((0.5 + 0.875 + 0.25) / 3)
    assert judge(write({**raw, "scores": {"spatial": 0.75}})).value("complex") == pytest.approx(0.5)
    assert (
        judge(write(complex_("spatial", scores={"attribute": 0.5, "spatial": 0.5, "action": None}))).code == 0
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"filename": ', "broken JSON"),
        ("[]", "expected a JSON object, found []"),
        ("[" * 100_000, "broken JSON"),
        (color(1, float("nan")), "broken JSON: NaN is not a number that JSON has"),
        ({"category": "color"}, "expected a string for 'filename', found no such key"),
        ({"filename": "a_0.png"}, "expected a string for 'category', found no such key"),
        ({**color(1), "category": "colour"}, "unknown category 'colour' (did you mean color?)"),
        ({**color(1), "category": None}, "expected a string for 'category', found null"),
        (color(0), "filename 'a red dog_000000.png' stands already in line 1 for category 'color'"),
        ({**color(1), "filename": "a red dog.png"}, "expected a filename like 'a red dog_000017.png'"),
        ({**color(1), "filename": "a red dog_x.png"}, "expected a filename like"),
        ({**color(1), "filename": "_000001.png"}, "expected a filename like"),
        (spatial(filename="a dog_near a cat_000001.png"), "expected a filename like"),
        ({**color(1), "phrases": None}, "expected a list for 'phrases', found null"),
        ({**color(1), "phrases": ["x"]}, 'phrases[0]: expected an object, found "x"'),
        ({**color(1), "phrases": [{"text": "x"}]}, "phrases[0]: expected a number or null for 'yes_prob"),
        ({**color(1), "phrases": [{"yes_probability": 1}]}, "phrases[0]: expected a string for 'text'"),
        (color(1, None), "expected a probability at phrases[0].yes_probability ('a red dog'), found null"),
        (color(1, 1.5), "expected 'yes_probability' from 0 to 1, found 1.5"),
        ({**color(1), "phrases": [{"text": "x", "yes_probability": True}]}, "expected a number for 'yes_"),
        ({**color(1), "phrases": [{"text": "x", "yes_probability": "0.5"}]}, "expected a number for 'yes_"),
        (spatial(tokens=None), "expected a list for 'tokens', found null"),
        (spatial(tokens=[["dog"]]), 'tokens[0]: expected [text, part of speech], found ["dog"]'),
        (spatial(tokens=[["dog", None]]), "tokens[0]: expected [text, part of speech]"),
        ({k: v for k, v in spatial().items() if k != "detections"}, "expected a list for 'detections'"),
        (spatial(detections=[DOG[:5]]), "detections[0]: expected [x1, y1, x2, y2, score, label]"),
        (spatial(detections=[[*DOG[:5], 3]]), "detections[0]: expected [x1, y1, x2, y2, score, label]"),
        (spatial(detections=[DOG, [*DOG[:4], None, "dog"]]), "detections[1]: expected five finite"),
        (spatial(detections=[[*DOG[:3], 10**400, 0.5, "dog"]]), "detections[0]: expected five finite"),
        (spatial(detections=["1e999"]), "detections[0]: expected [x1"),
        (json.dumps(spatial()).replace("12.0", "1e999"), "detections[1]: expected five finite"),
        (spatial(detections=[[50, 0, 10, 10, 0.5, "dog"]]), "expected corners with x1 <= x2 and y1 <= y2"),
        (spatial(detections=[[*DOG[:4], 50, "dog"]]), "expected a score from 0 to 1, found 50"),
        (numeracy(detections={}), "expected a list for 'detections', found {}"),
        (similarity(None), "expected a number for 'similarity', found null"),
        (similarity("0.3"), "expected a number for 'similarity', found \"0.3\""),
        (similarity(31.0), "expected 'similarity' from -1 to 1, found 31.0"),
        (complex_(scores=None), "expected 'scores' {attribute, spatial, action} for category 'complex'"),
        (complex_(scores=[0.5]), "expected an object for 'scores', found [0.5]"),
        (complex_(scores={"attribut": 0.5}), "unknown score 'attribut' in scores"),
        (complex_(scores={"attribute": 0.5}), "for a prompt of kind 'both' at scores.action"),
        (complex_("spatial", scores={"attribute": 0.5, "spatial": None}), "at scores.spatial, found null"),
        (complex_(scores={"attribute": 71.1}), "scores: expected 'attribute' from 0 to 1, found 71.1"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(tmp_path: Path, write: Write, judge: Any, bad: Any, message: str) -> None:
    told = judge(write(color(0), "", bad))
    assert told.code == 2
    assert "saved.jsonl:3: " in told.stderr
    assert message in told.stderr
    assert "; fix: " in told.stderr
    assert "Traceback" not in told.stderr
    assert not list((tmp_path / "out").glob("runs/*")), "nothing is written of what cannot be read"


def test_bad_depth_maps_are_named(tmp_path: Path, write: Write, judge: Any) -> None:
    good, folder = depth(tmp_path), tmp_path / "depth"
    np.save(folder / "flat.npy", np.zeros(4, dtype=np.float32))
    np.save(folder / "bytes.npy", np.zeros((4, 4), dtype=np.uint8))
    np.save(folder / "nan.npy", np.full((4, 4), np.nan, dtype=np.float32))
    np.save(folder / "huge.npy", np.full((4, 4), 3e38, dtype=np.float32))
    np.save(folder / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.savez(folder / "several.npz", a=np.zeros((4, 4)))
    (folder / "empty.npy").write_bytes(b"")
    (folder / "short.npy").write_bytes((folder / "0.npy").read_bytes()[:200])
    (folder / "text.npy").write_text("depth")
    for name, message in [
        ("absent.npy", "cannot read depth map"),
        ("empty.npy", "cannot read depth map"),
        ("short.npy", "cannot read depth map"),
        ("text.npy", "no array of plain numbers; fix: write it with numpy.save"),
        ("objects.npy", "no array of plain numbers"),
        ("several.npz", "expected floats [row, column] in depth map"),
        ("flat.npy", "found float32 of shape (4,)"),
        ("bytes.npy", "found uint8 of shape (4, 4)"),
        ("nan.npy", "found NaN or infinity"),
        ("huge.npy", "found NaN or infinity"),
    ]:
        told = judge(write(color(0), {**good, "depth": f"depth/{name}"}))
        assert told.code == 2, name
        assert message in told.stderr, name
        assert "saved.jsonl:2: " in told.stderr
        assert name in told.stderr
        assert "; fix: " in told.stderr
    for wrong in (None, 3):
        told = judge(write({**good, "depth": wrong}))
        assert told.code == 2
        assert "saved.jsonl:1: expected a string for 'depth'" in told.stderr


def test_an_empty_or_absent_file_is_named(tmp_path: Path, write: Write, judge: Any) -> None:
    for file, message in [
        (write("", ""), "expected a verdict a line, found none, in"),
        (tmp_path / "absent.jsonl", "expected a verdict file, found none at"),
    ]:
        told = judge(file)
        assert told.code == 2
        assert message in told.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("spatial.leest=1", "did you mean spatial.least"),
        ("spatial.least=-1", "expected a number above 0 for spatial.least, found -1"),
        ("spatial.complex=1", "expected bool"),
        ("spatial_3d.depth_axes=zz", "expected one of xy, yx for spatial_3d.depth_axes, found 'zz'"),
        ("attribute.questions=0", "expected a count of 1 or more for attribute.questions, found 0"),
        ("attribute.unasked=[1]", "expected a list of strings for attribute.unasked"),
    ],
)
def test_bad_settings_are_named(write: Write, judge: Any, change: str, message: str) -> None:
    told = judge(write(color()), "--set", change)
    assert told.code == 2
    assert message in told.stderr


def test_bad_categories_are_named(write: Write, judge: Any) -> None:
    for change, message in [
        ('prompts.categories=["colour"]', "did you mean color"),
        ("prompts.categories=[]", "name one or more of color, shape"),
        ("prompts.categories=[3]", "unknown category in prompts.categories"),
    ]:
        told = judge(write(color()), "--complete", "--set", change)
        assert told.code == 2
        assert message in told.stderr


def test_a_judge_that_is_not_there_is_named_with_the_way_out(protocol: Make) -> None:
    with pytest.raises(UserError, match=r"'other', which is not installed.*--verdicts FILE"):
        T2ICompBench().judge(protocol("official", ["judge.name=other"]))
