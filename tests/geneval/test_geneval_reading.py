from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.geneval.adapter import GenEval
from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol

Make = Callable[..., ResolvedProtocol]
RED_DOG = {
    "tag": "colors",
    "include": [{"class": "dog", "count": 1, "color": "red"}],
    "prompt": "a photo of a red dog",
}
CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"}
BOX = [10.0, 10.0, 50.0, 50.0, 0.95]


def record(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "filename": "x/00000/samples/0000.png",
        "metadata": RED_DOG,
        "detections": {"dog": [BOX]},
        "colors": {"dog": ["red"]},
    }
    return {**base, **changes}


def write(folder: Path, *records: Any) -> Path:
    file = folder / "verdicts.jsonl"
    file.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return file


def test_saved_verdicts_become_official_results(tmp_path: Path, protocol: Make) -> None:
    file = write(
        tmp_path,
        record(filename="a.png"),
        record(filename="b.png", colors={"dog": ["blue"]}),
        record(filename="c.png", metadata=CAT, detections={"cat": [BOX]}, colors={}),
    )
    official = protocol("official")
    items, verdicts = GenEval().read_verdicts(file, official)
    assert [item.metadata for item in items] == [RED_DOG, CAT]
    dog, cat = items[0].id, items[1].id
    assert [(v.item_id, v.index) for v in verdicts] == [(dog, 0), (dog, 1), (cat, 0)]
    found = GenEval().aggregate(official, items, verdicts)
    rows = [json.loads(line) for line in found.results]
    assert [(r["filename"], r["correct"]) for r in rows] == [
        ("a.png", True),
        ("b.png", False),
        ("c.png", True),
    ]
    values = {metric.name: metric.value for metric in found.metrics}
    assert values == {
        "overall": 0.75, "single_object": 1.0, "two_object": None, "counting": None, "colors": 0.5,
        "position": None, "color_attr": None,
    }  # fmt: skip
    assert found.summary.endswith("Overall score (avg. over tasks): 0.75000\n")


def test_a_prompt_of_the_set_keeps_its_id_and_others_get_one_from_their_content(
    tmp_path: Path, protocol: Make
) -> None:
    official = protocol("official")
    known = GenEval().items(official)[17]
    own = {**CAT, "prompt": "a cat, please"}
    records = [
        record(filename=metadata["prompt"], metadata=metadata, detections={}, colors={})
        for metadata in (own, known.metadata)
    ]
    items, _ = GenEval().read_verdicts(write(tmp_path, *records), official)
    turned, _ = GenEval().read_verdicts(write(tmp_path, *reversed(records)), official)
    assert items[1] == known
    assert items == list(reversed(turned))
    assert items[0].id not in {item.id for item in GenEval().items(official)}


def test_changed_rules_apply_to_saved_verdicts(tmp_path: Path, protocol: Make) -> None:
    weak = record(metadata=CAT, detections={"cat": [[*BOX[:4], 0.25]]}, colors={})
    file = write(tmp_path, weak)
    for changes, value in [((), 0.0), (("threshold=0.2",), 1.0)]:
        changed = protocol("official", changes)
        found = GenEval().aggregate(changed, *GenEval().read_verdicts(file, changed))
        assert found.metrics[0].value == value


def test_colours_may_be_absent_where_no_rule_needs_them(tmp_path: Path, protocol: Make) -> None:
    low = [*BOX[:4], 0.1]
    file = write(
        tmp_path,
        record(detections={"dog": [BOX, low], "cat": [BOX]}, colors={"dog": ["red", None], "cat": [None]}),
    )
    _, verdicts = GenEval().read_verdicts(file, protocol("official"))
    assert len(verdicts) == 1


def test_a_file_without_colours_is_scored_where_no_rule_asks_for_one(tmp_path: Path, protocol: Make) -> None:
    plain = record(metadata=CAT, detections={"cat": [BOX]})
    del plain["colors"]
    _, verdicts = GenEval().read_verdicts(write(tmp_path, plain), protocol("official"))
    assert verdicts[0].output["colors"] == {}


def test_scores_and_boxes_at_their_limits_are_taken(tmp_path: Path, protocol: Make) -> None:
    # A mask without pixels gives a box of zeros; in float32, where scores are compared, the last score is 1.
    rows = [[0, 0, 0, 0, 0], [10, 10, 10, 50, 1], [10.0, 10.0, 50.0, 10.0, 1 + 1e-9]]
    file = write(tmp_path, record(metadata=CAT, detections={"cat": rows}, colors={}))
    _, verdicts = GenEval().read_verdicts(file, protocol("official"))
    assert verdicts[0].output["detections"] == {"cat": rows}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"filename": ', r"verdicts.jsonl:2: broken JSON"),
        ("[]", r":2: expected a JSON object, found \[\]"),
        ('{"a": "b\tc"}', r"expected no raw control character in a string at column 9, found '\\tc\"}'"),
        ('{"a": "b', r"expected the end of the string that begins at column 7, found the end; fix: "),
        ("\ufeff{}", r":2: broken JSON: expected no byte order mark, which utf-8-sig reads, at column 1"),
        (record(filename=None), r":2: expected a string for 'filename', found null"),
        (record(filename="first.png"), r":2: filename 'first.png' stands already in line 1"),
        (record(metadata="dog"), r":2: expected an object for 'metadata'"),
        ({"filename": "y.png", "metadata": RED_DOG}, r"for 'detections', found no such key"),
        (record(detections={"dgo": [BOX]}), r":2: unknown class \"dgo\" \(did you mean dog.*\); fix: "),
        (record(detections={"dog": [BOX[:4]]}), r":2: detections\['dog'\]\[0\]: expected \[x1, y1, x2, y2"),
        (record(detections={"dog": BOX}), r"detections\['dog'\]\[0\]: expected \[x1"),
        (record(detections={"dog": [[*BOX[:4], "0.9"]]}), r"detections\['dog'\]\[0\]: expected \[x1"),
        (record(detections={"dog": [[*BOX[:4], 10**400]]}), r"detections\['dog'\]\[0\]: expected finite"),
        (record(detections={"dog": [[*BOX[:4], 1e300]]}), r"detections\['dog'\]\[0\]: expected finite"),
        (record(detections={"dog": [[*BOX[:4], float("nan")]]}), r":2: broken JSON: NaN"),
        (record(colors={"dog": ["red", "red"]}), r":2: expected 1 entries in colors\['dog'\]"),
        (
            record(colors={"dog": ["rde"]}),
            r"colors\['dog'\]\[0\]: unknown colour \"rde\" \(did you mean red.*\); fix: ",
        ),
        (
            record(colors={"dog": [None]}),
            r"at colors\['dog'\]\[0\], found null, for x/00000/samples/0000.png",
        ),
        (
            record(colors={}),
            r"at colors\['dog'\]\[0\], found null, for x/00000/samples/0000.png in .*verdicts",
        ),
        (record(metadata={**RED_DOG, "tag": 3}), r"expected a string for 'tag', found 3"),
        (
            record(metadata={**RED_DOG, "include": [{"class": "dgo", "count": 1}]}),
            r"include\[0\]: unknown class",
        ),
        (record(metadata={**RED_DOG, "include": [{"class": "dog"}]}), r"expected a count of 1 or more"),
        (
            record(metadata={**RED_DOG, "include": [{"class": "dog", "count": 0}]}),
            r":2: metadata.include\[0\]: expected a count of 1 or more, found 0; fix: ",
        ),
        (
            record(metadata={**RED_DOG, "exclude": [{"class": "dog", "count": 0}]}),
            r":2: metadata.exclude\[0\]: expected a count of 1 or more, found 0; fix: ",
        ),
        (
            record(detections={"dog": [BOX, [*BOX[:4], 92]]}),
            r":2: detections\['dog'\]\[1\]: expected a score from 0 to 1, found 92; fix: .* not in percent",
        ),
        (record(detections={"dog": [[*BOX[:4], -0.1]]}), r"expected a score from 0 to 1, found -0.1; fix: "),
        (
            record(detections={"dog": [[50, 10, 10, 50, 0.9]]}),
            r":2: detections\['dog'\]\[0\]: expected corners with x1 <= x2 and y1 <= y2, found \[50, 10, 10",
        ),
        (record(detections={"dog": [[10, 50, 50, 10, 0.9]]}), r"\[0\]: expected corners .*; fix: write corn"),
        (
            record(metadata={**CAT, "include": [{"class": "cat", "count": 1, "position": ["above", 0]}]}),
            r"include\[0\]: expected position = \[relation, index of an earlier clause\]",
        ),
    ],
)
def test_bad_verdicts_are_named(tmp_path: Path, protocol: Make, bad: Any, message: str) -> None:
    file = write(tmp_path, record(filename="first.png"), bad)
    with pytest.raises(UserError, match=message) as told:
        GenEval().read_verdicts(file, protocol("official"))
    assert "; fix: " in str(told.value)


def test_an_empty_or_absent_file_is_named(tmp_path: Path, protocol: Make) -> None:
    with pytest.raises(UserError, match=r"found none.*; fix: judge the images"):
        GenEval().read_verdicts(write(tmp_path), protocol("official"))
    with pytest.raises(UserError, match=r"cannot read.*; fix: "):
        GenEval().read_verdicts(tmp_path / "nowhere.jsonl", protocol("official"))


def test_the_official_layout(tmp_path: Path, protocol: Make) -> None:
    for folder, metadata in [("00001", CAT), ("00000", RED_DOG), ("notes", CAT)]:
        samples = tmp_path / folder / "samples"
        samples.mkdir(parents=True)
        (tmp_path / folder / "metadata.jsonl").write_text(json.dumps(metadata) + "\n")
        for name in ["0001.png", "0000.png", "grid.png", "0002.jpg", "0001.png.bak"]:
            (samples / name).touch()
    found = GenEval().read_images(tmp_path, protocol("official"))
    # As the official regular expression has it, a name need only begin like a sample.
    assert [(path.parts[-3], index, path.name) for _, index, path in found] == [
        (folder, index, name)
        for folder in ("00000", "00001")
        for index, name in enumerate(["0000.png", "0001.png", "0001.png.bak"])
    ]
    assert found[0][0].metadata == RED_DOG


def layout(folder: Path, names: dict[str, list[str]], metadata: dict[str, Any] = RED_DOG) -> Path:
    for prompt, files in names.items():
        samples = folder / prompt / "samples"
        samples.mkdir(parents=True)
        (folder / prompt / "metadata.jsonl").write_text(json.dumps(metadata) + "\n")
        for name in files:
            (samples / name).touch()
    return folder


def test_an_image_s_index_is_the_number_in_its_name(tmp_path: Path, protocol: Make) -> None:
    layout(tmp_path, {"00000": ["00000.png", "00002.png", "00010.png"]})
    layout(tmp_path, {"00001": ["9.png", "10.png"], "00002": []}, CAT)
    found = GenEval().read_images(tmp_path, protocol("official"))
    assert [(path.parts[-3], index, path.name) for _, index, path in found] == [
        ("00000", 0, "00000.png"), ("00000", 2, "00002.png"), ("00000", 10, "00010.png"),
        ("00001", 9, "9.png"), ("00001", 10, "10.png"), ("00002", 11, "0000.png"),
    ]  # fmt: skip
    assert not found[-1][2].exists(), "one that is absent, after those of its twin"


def test_numbers_that_count_no_images_are_refused(tmp_path: Path, protocol: Make) -> None:
    layout(tmp_path, {"00000": ["0000.png", "1234567.png"]})
    with pytest.raises(UserError, match=r"from 0, .*found .*1234567.png, where a prompt has 2 at most"):
        GenEval().read_images(tmp_path, protocol("official"))


def test_a_broken_layout_is_named(tmp_path: Path, protocol: Make) -> None:
    official = protocol("official")
    with pytest.raises(UserError, match=r"expected images like .*00000/samples/0000.png.*; fix: "):
        GenEval().read_images(tmp_path, official)
    with pytest.raises(UserError, match=r"expected a folder of images.*; fix: "):
        GenEval().read_images(tmp_path / "nowhere", official)
    (tmp_path / "00000").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*metadata.jsonl.*; fix: "):
        GenEval().read_images(tmp_path, official)
    (tmp_path / "00000" / "metadata.jsonl").write_text("{")
    with pytest.raises(UserError, match=r"metadata.jsonl: broken JSON.*; fix: "):
        GenEval().read_images(tmp_path, official)
    (tmp_path / "00000" / "metadata.jsonl").write_text(json.dumps(CAT))
    with pytest.raises(UserError, match="found no such folder; fix: put them there"):
        GenEval().read_images(tmp_path, official)
