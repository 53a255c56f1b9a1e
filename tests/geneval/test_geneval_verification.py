"""Published images against published scores and people, on stand-ins made here: no real image is at hand."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.geneval.adapter import GenEval
from benchmarks.geneval.annotations import read_annotations
from benchmarks.geneval.verification import PUBLISHED
from benchmarks.geneval.vocabulary import TASKS
from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

STEPS = {"left of": (-80, 0), "right of": (80, 0), "above": (0, -80), "below": (0, 80)}


@dataclasses.dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in map(json.loads, self.stdout.splitlines())}


Verify = Callable[..., Done]


def seen(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a judge says that sees all that a prompt asks for."""
    detections: dict[str, list[list[float]]] = {}
    colors: dict[str, list[str | None]] = {}
    for clause in metadata["include"]:
        dx, dy = STEPS[clause["position"][0]] if "position" in clause else (0, 0)
        for _ in range(clause["count"]):
            detections.setdefault(clause["class"], []).append([100 + dx, 100 + dy, 140 + dx, 140 + dy, 0.95])
            colors.setdefault(clause["class"], []).append(clause.get("color"))
    return {"detections": detections, "colors": colors}


NOTHING: dict[str, Any] = {"detections": {}, "colors": {}}


class PaperJudge:
    """Sees everything on white images, and nothing on black ones."""

    kind = "detect"
    name = "paper"
    digest = "0" * 64
    settings: Mapping[str, Any] = {}

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        pairs = zip(images, items, strict=True)
        return [
            seen(item.metadata) if image.getpixel((0, 0)) == (255,) * 3 else NOTHING for image, item in pairs
        ]


@pytest.fixture
def verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Verify]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*words: object) -> Done:
        argv = [
            "lumina-eval",
            "verify",
            "geneval",
            "--json",
            "--out",
            str(tmp_path / "out"),
            *map(str, words),
        ]
        monkeypatch.setattr(sys, "argv", argv)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return Done(int(end.value.code or 0), streams.out, streams.err)

    with (
        injected("benchmarks", geneval=GenEval),
        injected("judges", **{"mask2former-clip": lambda table: PaperJudge()}),
    ):
        yield run


@pytest.fixture(scope="module")
def items(protocol: Callable[..., ResolvedProtocol]) -> dict[str, Item]:
    return {item.id: item for item in GenEval().items(protocol("official"))}


def write_table(
    path: Path, items: Mapping[str, Item], votes: Mapping[tuple[str, int], Sequence[bool]]
) -> None:
    """Write annotations in which these people find these images right."""
    columns = [
        "Input.prompt_id", "Input.image_id", "Input.caption", "Answer.task-count-0", "Answer.task-count-1",
        "Answer.task-color-0", "Answer.task-color-1", "Answer.task-position-x", "Answer.task-position-y",
    ]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        for (item_id, index), given in votes.items():
            item = items[item_id]
            for right in given:
                row: dict[str, Any] = {
                    "Input.prompt_id": int(item_id), "Input.image_id": index, "Input.caption": item.prompt,
                }  # fmt: skip
                for number, clause in enumerate(item.metadata["include"]):
                    row[f"Answer.task-count-{number}"] = f"{clause['count'] if right else 0}.0"
                    row[f"Answer.task-color-{number}"] = f"gray|{clause.get('color', '')}"
                    place = clause.get("position", [""])[0].removesuffix(" of")
                    axis = "x" if place in ("left", "right") else "y"
                    row[f"Answer.task-position-{axis}"] = place
                writer.writerow(row)


def write_verdicts(path: Path, items: Mapping[str, Item], shares: Mapping[str, float]) -> None:
    """Write verdicts for all images of ``sdv2`` of which these shares are right, task by task."""
    size = Counter(item.task for item in items.values())
    done: Counter[str] = Counter()
    with path.open("w") as stream:
        for item in items.values():
            for index in range(4):
                right = done[item.task] < round(shares[item.task] * 4 * size[item.task])
                done[item.task] += 1
                record = {
                    "filename": f"images/sdv2/{item.id}/samples/{index:05d}.png",
                    "metadata": item.metadata,
                    **(seen(item.metadata) if right else NOTHING),
                }
                stream.write(json.dumps(record) + "\n")


def test_the_published_scores_are_met_or_not(verify: Verify, items: dict[str, Item], tmp_path: Path) -> None:
    overall, *shares = PUBLISHED["sdv2"]
    write_verdicts(tmp_path / "v.jsonl", items, dict(zip(TASKS, shares, strict=True)))
    done = verify("--verdicts", tmp_path / "v.jsonl")
    assert done.code == 4, "the other models are not there"
    rows = done.rows
    assert len(rows) == 24
    for name, published in zip(("overall", *TASKS), (overall, *shares), strict=True):
        row = rows[f"sdv2 {name}"]
        assert row["state"] == "PASS"
        assert row["found"] == pytest.approx(published, abs=0.005)
    assert rows["sdv2 overall"]["n"] == 2212
    assert rows["clip counting"]["state"] == rows["sdv2 agreement with people"]["state"] == "not run"
    assert "geneval-annotations" in rows["sdv2 agreement with people"]["note"]

    write_verdicts(tmp_path / "v.jsonl", items, dict(zip(TASKS, shares, strict=True)) | {"counting": 0.47})
    done = verify("--verdicts", tmp_path / "v.jsonl")
    assert done.code == 1
    assert {name for name, row in done.rows.items() if row["state"] == "FAIL"} == {"sdv2 counting"}


def test_a_score_of_fewer_images_is_not_run(verify: Verify, items: dict[str, Item], tmp_path: Path) -> None:
    _, *shares = PUBLISHED["sdv2"]
    file = tmp_path / "v.jsonl"
    write_verdicts(file, items, dict(zip(TASKS, shares, strict=True)))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    rows = verify("--verdicts", file).rows
    assert rows["sdv2 single_object"]["state"] == rows["sdv2 overall"]["state"] == "not run"
    assert rows["sdv2 single_object"]["note"] == "319 of 320 images judged"
    assert rows["sdv2 colors"]["state"] == "PASS"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + "{broken\n", "broken JSON"),
        (lambda text: text.replace('"prompt": "a photo of', '"prompt": "a drawing of', 1), "'a drawing of a"),
        (lambda text: text + text, "stands already in line 1"),
        (lambda text: "", "expected a verdict a line, found none"),
    ],
)
def test_broken_evidence_is_the_users_to_mend(
    verify: Verify, items: dict[str, Item], tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    file = tmp_path / "v.jsonl"
    write_verdicts(file, items, dict.fromkeys(TASKS, 1.0))
    file.write_text(change(file.read_text()))
    done = verify("--verdicts", file)
    assert done.code == 2
    assert said in done.stderr
    assert "v.jsonl" in done.stderr
    assert not done.stdout


def test_the_published_scores_are_of_the_first_four_images(
    verify: Verify, items: dict[str, Item], tmp_path: Path
) -> None:
    _, *shares = PUBLISHED["sdv2"]
    file = tmp_path / "v.jsonl"
    write_verdicts(file, items, dict(zip(TASKS, shares, strict=True)))
    before = verify("--verdicts", file).rows
    with file.open("a") as stream:
        for item in items.values():
            record = {
                "filename": f"images/sdv2/{item.id}/samples/00004.png", "metadata": item.metadata, **NOTHING
            }  # fmt: skip
            stream.write(json.dumps(record) + "\n")
    after = verify("--verdicts", file).rows
    for name in ("overall", *TASKS):
        assert after[f"sdv2 {name}"] == before[f"sdv2 {name}"]
        assert after[f"sdv2 {name}"]["state"] == "PASS"


def test_why_images_have_no_verdict_is_told(verify: Verify, items: dict[str, Item], tmp_path: Path) -> None:
    prompts = list(items)[:2]
    for item_id in prompts:
        folder = tmp_path / "images" / "clip" / item_id / "samples"
        folder.mkdir(parents=True)
        Image.new("RGB", (2, 2), "white").save(folder / "00000.png")
    (tmp_path / "images" / "clip" / prompts[1] / "samples" / "00000.png").write_bytes(b"no image")
    write_table(tmp_path / "annotations_clip.csv", items, {(item_id, 0): [True] * 5 for item_id in prompts})
    rows = verify("--images", tmp_path / "images", "--data", tmp_path).rows
    reason = f"image 0 of {prompts[1]}: the image cannot be read"
    assert rows["clip overall"]["note"] == f"1 of 2212 images judged; {reason}"
    assert rows["clip agreement with people"]["note"] == f"1 of 2 annotated images judged; {reason}"


def test_images_are_judged_and_compared_with_people(
    verify: Verify, items: dict[str, Item], tmp_path: Path
) -> None:
    """Ten images, of which the judge finds the even ones right."""
    prompts = list(items)[::60][:10]
    for number, item_id in enumerate(prompts):
        folder = tmp_path / "images" / "clip" / item_id / "samples"
        folder.mkdir(parents=True)
        Image.new("RGB", (2, 2), "white" if number % 2 == 0 else "black").save(folder / "00002.png")
    votes = {(item, 2): [number % 2 == 0] * 5 for number, item in enumerate(prompts)}
    write_table(tmp_path / "annotations_clip.csv", items, votes)
    words = ("--images", tmp_path / "images", "--data", tmp_path)
    done = verify(*words)
    assert done.code == 4
    row = done.rows["clip agreement with people"]
    assert (row["state"], row["found"], row["expected"], row["n"]) == ("PASS", 1.0, 1.0, 10)
    assert done.rows["clip overall"]["note"] == "10 of 2212 images judged"
    assert "not the pinned file" in done.stderr

    for item in prompts[:2]:  # two images on which all people say otherwise: 0.8, and 0.9 is asked for
        votes[item, 2] = [not vote for vote in votes[item, 2]]
    write_table(tmp_path / "annotations_clip.csv", items, votes)
    done = verify(*words)
    assert done.code == 1
    row = done.rows["clip agreement with people"]
    assert (row["state"], row["found"]) == ("FAIL", 0.8)
    assert len((tmp_path / "out" / "verify" / "geneval-clip.jsonl").read_text().splitlines()) == 10

    ledger = [json.loads(line) for line in (tmp_path / "out" / "parity.jsonl").read_text().splitlines()]
    assert len(ledger) == 48
    assert ledger[7]["state"] == "PASS"
    assert ledger[7]["evidence"]["clip judge"].startswith("paper@")
    assert "annotations_clip.csv" in ledger[7]["evidence"]


def test_without_a_judge_nothing_is_fetched_or_claimed(verify: Verify, tmp_path: Path) -> None:
    def refuses(table: Mapping[str, Any]) -> Any:
        raise UserError("expected weights, found none; fix: lumina-eval data fetch mask2former")

    with injected("judges", **{"mask2former-clip": refuses}):
        done = verify()
    assert done.code == 4
    assert {row["state"] for row in done.rows.values()} == {"not run"}
    assert "data fetch mask2former" in done.rows["if-xl overall"]["note"]


def test_images_or_verdicts_but_not_both(verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text("")
    done = verify("--images", tmp_path, "--verdicts", tmp_path / "v.jsonl")
    assert done.code == 2
    assert "found both" in done.stderr
    assert verify("--images", tmp_path / "none").code == 2
    assert verify("--verdicts", tmp_path / "none").code == 2


def test_people_are_read_by_the_clauses_of_the_prompt(items: dict[str, Item], tmp_path: Path) -> None:
    by_task: dict[str, str] = {}
    for item in items.values():
        by_task.setdefault(item.task, item.id)
    votes = {(item, 0): [True, True, False] for item in by_task.values()}
    votes[by_task["colors"], 1] = [True, False]
    write_table(tmp_path / "t.csv", items, votes)
    found = read_annotations(tmp_path / "t.csv", items)
    assert found.votes == {place: tuple(given) for place, given in votes.items()}
    assert found.majority() == {(item, 0): True for item in by_task.values()}, "a tie is no majority"
    assert found.agreement() == pytest.approx(6 * 1 / (6 * 3 + 1))


@pytest.mark.parametrize(
    ("task", "column", "value"),
    [
        ("counting", "Answer.task-count-0", "5"),
        ("two_object", "Answer.task-count-1", "0"),
        ("color_attr", "Answer.task-color-1", "gray"),
        ("position", "Answer.task-position-x", "neither_x"),
    ],
)
def test_each_clause_can_fail(
    items: dict[str, Item], tmp_path: Path, task: str, column: str, value: str
) -> None:
    item = next(
        one
        for one in items.values()
        if one.task == task
        and (task != "position" or one.metadata["include"][1]["position"][0] in ("left of", "right of"))
    )
    write_table(tmp_path / "t.csv", items, {(item.id, 0): [True]})
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[0][column] = value
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert read_annotations(tmp_path / "t.csv", items).votes == {(item.id, 0): (False,)}


def test_a_table_of_something_else_is_told(items: dict[str, Item], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"Input\.prompt_id.*t\.csv"):
        read_annotations(tmp_path / "t.csv", items)


@pytest.mark.parity
def test_the_published_tables_are_whole(shared: Path, items: dict[str, Item]) -> None:
    for model, unusable in (("clip", 0), ("sdv2", 0), ("if-xl", 4)):
        file = shared / "data" / "geneval" / "annotations" / f"annotations_{model}.csv"
        found = read_annotations(file, items)
        assert len(found.votes) == 400
        assert {len(votes) for votes in found.votes.values()} == {5}
        assert found.unusable == unusable
        agreement = found.agreement()
        assert agreement is not None
        assert 0.8 < agreement < 0.9, "people mostly agree, so the answers are read the right way round"
