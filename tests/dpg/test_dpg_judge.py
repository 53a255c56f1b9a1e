"""The command line on question and verdict files written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dpg_world import Cli, Row, csv_text, verdict_text

from benchmarks.dpg.adapter import Dpg
from lumina_eval.plugins import injected
from lumina_eval.testing import check_benchmark

#: The first item loses its first question to the official script, and with it question 2's parent.
ROWS: list[Row] = [
    ("first", 1, "0", "entity - whole (cat)", "Is there a cat?"),
    ("first", 2, "1", "attribute - color (cat, red)", "Is the cat red?"),
    ("a", 1, "0", "entity - whole (dog)", "Is there a dog?"),
    ("a", 2, "1", "attribute - color (dog, blue)", "Is the dog blue?"),
    ("a", 3, "0", "global - (photo)", "Is it a photo?"),
    ("b", 1, "0", "entity - part (wheel)", "Is there a wheel?"),
]
Answers = dict[str, dict[int, dict[str, str]]]


def answers(**marks: list[str]) -> Answers:
    """Answers by item: a word for each crop, a letter for each question, y or n."""
    texts = {item: [row[4] for row in ROWS if row[0] == item] for item in marks}
    return {
        item: {
            crop: {text: {"y": "yes", "n": "no"}[mark] for text, mark in zip(texts[item], word, strict=True)}
            for crop, word in enumerate(words)
        }
        for item, words in marks.items()
    }


#: Item a by crop, with dependencies: 3/3, 1/3 (a photo), 2/3, 1/3; item b: 1, 1, 0, 1.
GIVEN = answers(first=["yy", "ny", "yn", "yy"], a=["yyy", "nyy", "yyn", "ynn"], b=["y", "y", "n", "y"])


def test_official_by_hand(judge: Cli) -> None:
    done = judge(csv_text(ROWS), verdict_text(GIVEN))
    assert done.code == 0
    assert done.values == pytest.approx(
        {
            "overall": 100 * ((1 + 1 / 3 + 2 / 3 + 1 / 3) / 4 + 3 / 4) / 2,
            "l1/attribute": 0,
            "l1/entity": 100,
            "l1/global": 0,
            "l2/attribute - color": 0,
            "l2/entity - part": 100,
            "l2/entity - whole": 100,
            "l2/global -": 0,
        },
        abs=1e-9,
    )
    record = done.record
    assert record["coverage"] == {"expected": 12, "generated": 12, "judged": 12, "failed": 0, "excluded": 4}
    assert (
        "excluded by the rules of protocol official: first (question 2 depends on question 1" in done.stderr
    )
    assert {metric["unit"] for metric in record["metrics"]} == {"percent"}
    overall = record["metrics"][0]
    assert (overall["n_prompts"], overall["n_images"]) == (2, 8)
    for metric in record["metrics"]:
        for limits in (metric["ci_seeds"], metric["ci_prompts"]):
            assert limits is None or 0 <= limits[0] <= metric["value"] <= limits[1] <= 100


def test_corrected_by_hand(judge: Cli) -> None:
    """The first item is back; categories pool all crops, with the dependencies."""
    done = judge(csv_text(ROWS), verdict_text(GIVEN), "corrected")
    assert done.code == 0
    first, a, b = (1 + 0 + 0.5 + 1) / 4, (1 + 1 / 3 + 2 / 3 + 1 / 3) / 4, 3 / 4
    assert done.values == pytest.approx(
        {
            "overall": 100 * (first + a + b) / 3,
            "l1/attribute": 100 * (2 + 2) / 8,
            "l1/entity": 100 * (3 + 3 + 3) / 12,
            "l1/global": 100 * 2 / 4,
            "l2/attribute - color": 100 * (2 + 2) / 8,
            "l2/entity - part": 100 * 3 / 4,
            "l2/entity - whole": 100 * (3 + 3) / 8,
            "l2/global -": 100 * 2 / 4,
        },
        abs=1e-9,
    )
    assert done.record["coverage"]["excluded"] == 0


def test_a_first_item_without_dependants_loses_one_question_only(judge: Cli) -> None:
    rows = [("first", 1, "0", "a - b (c)", "One?"), ("first", 2, "0", "a - b (c)", "Two?"), *ROWS[2:]]
    given: Answers = {"first": {0: {"One?": "no", "Two?": "yes"}}}
    done = judge(csv_text(rows), verdict_text(given))
    assert done.values["overall"] == 100
    assert done.record["coverage"]["excluded"] == 0


def test_a_later_block_replaces_the_earlier_one_or_joins_it(judge: Cli) -> None:
    rows = [*ROWS, ("a", 4, "0", "other - count (2)", "Two dogs?")]
    given = answers(a=["nnn"])
    given["a"][0]["Two dogs?"] = "yes"
    assert judge(csv_text(rows), verdict_text(given)).values == {
        "overall": 100, "l1/other": 100, "l2/other - count": 100,
    }  # fmt: skip
    assert judge(csv_text(rows), verdict_text(given), "corrected").values["overall"] == 25


def test_a_proposition_in_both_blocks_cannot_be_joined(judge: Cli) -> None:
    text = csv_text([*ROWS, ("a", 1, "0", "a - b (c)", "Again?")])
    assert judge(text, verdict_text({"a": {0: {"Again?": "yes"}}})).values["overall"] == 100
    done = judge(text, verdict_text(GIVEN), "corrected")
    assert done.code == 2
    assert "found 1 in data rows 2 and 6; fix:" in done.stderr


def test_answers_that_are_neither_are_kept_and_counted(judge: Cli) -> None:
    given = answers(b=["y", "y", "y", "y"])
    for crop, word in enumerate(["Yes", "yes.", "yes.", "yes"]):
        given["b"][crop]["Is there a wheel?"] = word
    done = judge(csv_text(ROWS), verdict_text(given))
    assert done.code == 0
    assert done.values["overall"] == 25
    (text,) = [text for text in done.record["warnings"] if "neither" in text]
    assert text.startswith("3 answers are neither 'yes' nor 'no'")
    assert text.endswith("'yes.' 2, 'Yes' 1")
    kept = (Path(done.record["run_dir"]) / "verdicts.jsonl").read_text()
    assert kept.count("yes.") == 2


def test_a_crop_that_is_absent_is_counted_and_named(judge: Cli) -> None:
    given = answers(a=["yyy", "yyy", "yyy", "yyy"], b=["y", "n", "y", "y"])
    del given["b"][2]
    done = judge(csv_text(ROWS), verdict_text(given))
    assert done.code == 4
    coverage = done.record["coverage"]
    assert (coverage["expected"], coverage["judged"], coverage["failed"]) == (8, 7, 1)
    assert "judge failed for image 2 of item b: no verdict in the file" in done.stderr
    assert done.values["overall"] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_one_crop_an_item_is_a_whole_file(judge: Cli) -> None:
    given = answers(a=["yyn"], b=["y"])
    done = judge(csv_text(ROWS), verdict_text(given))
    assert done.code == 0
    assert done.record["coverage"]["expected"] == 2
    assert done.values["overall"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert done.record["metrics"][0]["ci_seeds"] is None
    assert judge(csv_text(ROWS), verdict_text(given), "official", "--images-per-prompt", 4).code == 4


def test_complete_asks_for_every_item_of_the_file(judge: Cli) -> None:
    done = judge(csv_text(ROWS), verdict_text(answers(a=["yyy"] * 4)), "official", "--complete")
    assert done.code == 4
    assert done.record["coverage"]["expected"] == 12
    assert judge(csv_text(ROWS), verdict_text(GIVEN), "official", "--complete").code == 0


def test_an_item_that_the_file_does_not_have_is_excluded_or_refused(judge: Cli) -> None:
    given = {**answers(b=["y"] * 4), "ghost": {crop: {"Boo?": "yes"} for crop in range(4)}}
    done = judge(csv_text(ROWS), verdict_text(given))
    assert done.code == 0
    assert done.record["coverage"]["excluded"] == 4
    assert "ghost (the question file does not have it)" in done.stderr
    assert done.record["metrics"][0]["n_prompts"] == 1
    refused = judge(csv_text(ROWS), verdict_text(given), "corrected")
    assert refused.code == 2
    assert "verdicts.txt:5: expected an item of" in refused.stderr


def test_when_nothing_counts_nothing_is_known(judge: Cli) -> None:
    done = judge(csv_text(ROWS), verdict_text(answers(first=["yy"] * 4)))
    assert done.code == 0
    assert done.values == {"overall": None}
    assert done.record["coverage"]["excluded"] == 4


def test_the_order_of_the_lines_does_not_matter(judge: Cli) -> None:
    lines = verdict_text(GIVEN).splitlines()
    one, other = judge(csv_text(ROWS), "\n".join(lines)), judge(csv_text(ROWS), "\n\n".join(reversed(lines)))
    assert one.record["metrics"] == other.record["metrics"]
    results = [Path(done.record["run_dir"], "results.jsonl").read_bytes() for done in (one, other)]
    assert results[0] == results[1]


def test_records_of_the_run(judge: Cli, call: Cli, tmp_path: Path) -> None:
    done = judge(csv_text(ROWS), verdict_text(GIVEN), "official", "--set", "category_crops=all")
    run_dir = Path(done.record["run_dir"])
    assert done.record["changed"] == ['category_crops="all"']
    rows = [json.loads(line) for line in (run_dir / "results.jsonl").read_text().splitlines()]
    assert [row["item_id"] for row in rows] == ["first", "a", "b"]
    assert rows[0]["average"] is None
    assert rows[0]["excluded"].startswith("question 2 depends on question 1")
    assert rows[2]["crop_scores"] == [1, 1, 0, 1]
    summary = (run_dir / "summary.txt").read_text()
    assert summary.startswith("L1 category scores:\n\tattribute: 75.0\n\tentity: ")
    assert summary.endswith(f"DPG-Bench score: {done.values['overall']}\n")
    # A run's own verdicts are scored again by another rule, without the questions: they are in its items.
    again = call(
        "judge", "dpg", "--protocol", "corrected", "--verdicts", run_dir / "verdicts.jsonl",
        "--out", tmp_path / "again", "--json",
    )  # fmt: skip
    assert again.code == 0
    assert again.values == judge(csv_text(ROWS), verdict_text(GIVEN), "corrected").values


def test_runs_are_compared_in_percent(judge: Cli, call: Cli, tmp_path: Path) -> None:
    rows: list[Row] = [("none", 1, "0", "a - b (c)", "So?")]
    rows += [(f"i{n}", k, "0", "a - b (c)", f"{k}?") for n in range(12) for k in (1, 2)]
    runs = []
    for good in (4, 8):
        given: Answers = {
            f"i{n}": {c: {"1?": "yes", "2?": "yes" if n < good else "no"} for c in range(2)}
            for n in range(12)
        }
        runs.append(judge(csv_text(rows), verdict_text(given)).record["run_dir"])
    done = call("compare", *runs, "--json")
    difference = done.record["primary"]
    assert difference["difference"] == pytest.approx(100 / 6)
    assert difference["ci"][1] - difference["ci"][0] > 5  # no interval of fractions


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "broken JSON"),
        ("[]", "expected a JSON object"),
        ('{"crop": 0, "answers": {}}', "'item_id', found no such key"),
        ('{"item_id": 7, "crop": 0, "answers": {}}', "expected a string for 'item_id', found 7"),
        ('{"item_id": "b", "answers": {}}', "expected a crop from 0 to 3"),
        ('{"item_id": "b", "crop": 4, "answers": {}}', "bottom right), found 4"),
        ('{"item_id": "b", "crop": true, "answers": {}}', "found true"),
        ('{"item_id": "b", "crop": "0", "answers": {}}', 'found "0"'),
        ('{"item_id": "b", "crop": 0}', "expected an object for 'answers', found no such key"),
        ('{"item_id": "b", "crop": 0, "answers": {"Is there a wheel?": null}}', "found null; fix:"),
        ('{"item_id": "b", "crop": 0, "answers": {"Is there a wheel?": true}}', "found true; fix:"),
        ('{"item_id": "b", "crop": 0, "answers": {"is there a wheel?": "yes"}}', "'Is there a wheel?'"),
        ('{"item_id": "a", "crop": 0, "answers": {}}', "and to 2 more questions for crop 0 of item 'a'"),
        ("", "expected a verdict a line, found none"),
    ],
)
def test_bad_verdict_lines_are_named(judge: Cli, tmp_path: Path, line: str, told: str) -> None:
    done = judge(csv_text(ROWS), line)
    assert done.code == 2
    assert told in done.stderr
    assert f"{tmp_path / 'verdicts.txt'}" in done.stderr
    assert "; fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert not list((tmp_path / "out").glob("runs/*"))


def test_one_crop_twice_is_named_with_both_lines(judge: Cli) -> None:
    line = verdict_text(answers(b=["y"]))
    done = judge(csv_text(ROWS), line + line)
    assert done.code == 2
    assert "verdicts.txt:2: expected one verdict for crop 0 of item 'b', found another at" in done.stderr


def test_questions_that_are_absent_or_bad_are_told_with_the_way_out(
    judge: Cli, call: Cli, tmp_path: Path
) -> None:
    verdicts = tmp_path / "v.jsonl"
    verdicts.write_text(verdict_text(GIVEN))
    words: list[Any] = ["judge", "dpg", "--verdicts", verdicts, "--out", tmp_path / "out"]
    done = call(*words)
    assert done.code == 2
    assert "98457fc9901943f51ff9a30367250fc292533bed" in done.stderr
    assert "fix: lumina-eval data fetch dpg-questions" in done.stderr
    done = judge(csv_text([*ROWS, ("c", 1, "5, right", "a - b (c)", "So?")]), verdicts)
    assert done.code == 2
    assert "questions.txt:8: expected proposition ids" in done.stderr
    assert call(*words, "--questions", tmp_path / "none.csv").code == 2
    assert call("run", "dpg", "--model", "x.py:f", "--out", tmp_path / "out").code == 2


def test_a_file_that_is_not_the_pinned_one_is_told(judge: Cli) -> None:
    assert any("not those that the protocol pins" in text
               for text in judge(csv_text(ROWS), verdict_text(GIVEN)).record["warnings"])  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("category_crops=first", "unknown category_crops in protocol official: 'first'"),
        ("later_block=1", "expected str like 'replaces'"),
        ("skip_first_row=1", "expected bool like True"),
        ("skip_frist_row=true", "did you mean skip_first_row?"),
    ],
)
def test_choices_that_there_are_not_are_told(judge: Cli, change: str, told: str) -> None:
    done = judge(csv_text(ROWS), verdict_text(GIVEN), "official", "--set", change)
    assert done.code == 2
    assert told in done.stderr


def test_the_prompts_are_printed(call: Cli, tmp_path: Path) -> None:
    file = tmp_path / "questions.csv"
    file.write_text(csv_text(ROWS), newline="")
    done = call("prompts", "dpg", "--questions", file)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"item_id": item, "prompt": f"a prompt of {item}, long"} for item in ("first", "a", "b")
    ]
    assert call("prompts", "dpg").code == 2


def test_it_is_a_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "questions.csv"
    file.write_text(csv_text(ROWS), newline="")
    with injected("benchmarks", dpg=Dpg):
        check_benchmark(Dpg(file))
    assert set(Dpg().protocols()) >= {"official", "corrected", "tabletop"}
