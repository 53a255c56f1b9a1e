from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.geneval.rules import evaluate
from benchmarks.geneval.summary import correct_images, overall, result_lines, result_row, summary_text
from benchmarks.geneval.vocabulary import COCO_CLASSES

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def row(tag: str, prompt: str, correct: bool, name: str = "a/b.png") -> dict[str, object]:
    metadata = json.dumps({"tag": tag, "prompt": prompt})
    return {
        "filename": name,
        "tag": tag,
        "prompt": prompt,
        "correct": correct,
        "reason": "",
        "metadata": metadata,
        "details": "{}",
    }


ROWS = [
    row("colors", "one", True),
    row("colors", "one", False),
    row("counting", "two", False),
    row("colors", "three", True),
    row("colors", "three", True),
]


def test_the_text_of_the_official_summary() -> None:
    assert summary_text(ROWS) == (
        "Summary\n"
        "=======\n"
        "Total images: 5\n"
        "Total prompts: 3\n"
        "% correct images: 60.00%\n"
        "% correct prompts: 66.67%\n"
        "\n"
        "Task breakdown\n"
        "==============\n"
        "colors           = 75.00% (3 / 4)\n"
        "counting         = 0.00% (0 / 1)\n"
        "\n"
        "Overall score (avg. over tasks): 0.37500\n"
    )


def test_the_score_is_the_mean_of_the_tasks_not_of_the_images() -> None:
    assert overall(ROWS) == (0.75 + 0) / 2
    assert correct_images(ROWS) == 3 / 5


def test_a_record_as_the_official_script_writes_it() -> None:
    metadata = {
        "tag": "single_object",
        "include": [{"class": "bench", "count": 1}],
        "prompt": "a photo of a bench",
    }
    outcome = evaluate(metadata, {"bench": [[1, 2, 3, 4, 0.95]]}, {}, COCO_CLASSES)
    lines = result_lines([result_row("images/00000/samples/0000.png", metadata, outcome)])
    assert lines == [
        r'{"filename":"images\/00000\/samples\/0000.png","tag":"single_object","prompt":"a photo of a bench",'
        r'"correct":true,"reason":"","metadata":"{\"tag\": \"single_object\", \"include\": [{\"class\": '
        r'\"bench\", \"count\": 1}], \"prompt\": \"a photo of a bench\"}","details":"{\"bench\": '
        r'[[1.0, 2.0, 3.0, 4.0, 0.949999988079071]]}"}'
    ]


@given(st.lists(st.tuples(texts, texts, st.booleans()), max_size=5))
def test_lines_are_json_again(values: list[tuple[str, str, bool]]) -> None:
    rows = [row("colors", prompt, correct, name) for name, prompt, correct in values]
    assert [json.loads(line) for line in result_lines(rows)] == rows
    for line in result_lines(rows):
        assert "/" not in line.replace("\\/", "")
        assert line.isascii()
