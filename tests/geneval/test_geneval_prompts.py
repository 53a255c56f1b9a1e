from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.geneval.adapter import GenEval
from benchmarks.geneval.prompts import generate, to_jsonl
from benchmarks.geneval.vocabulary import COCO, COLORS, TABLETOP, TASKS, with_article
from benchmarks.tabletop.world.vocabulary import COLORS as TABLE_COLORS
from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol

Make = Callable[..., ResolvedProtocol]
OFFICIAL = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
OFFICIAL_TEXT = "55b6e3650e980c13daf30569eb666e000faf19bfc2b7b4cbe999fcdb7aa9d680"


def test_the_official_set_to_the_byte(protocol: Make) -> None:
    official = protocol("official")
    lines = "".join(line + "\n" for line in GenEval().prompt_lines(official))
    assert hashlib.sha256(lines.encode()).hexdigest() == OFFICIAL
    items = GenEval().items(official)
    prompts = "".join(item.prompt + "\n" for item in items)
    assert hashlib.sha256(prompts.encode()).hexdigest() == OFFICIAL_TEXT
    assert [items[0].id, items[-1].id] == ["00000", "00552"]
    assert {item.split for item in items} == {None}


@pytest.mark.parity
def test_the_official_file(shared: Path) -> None:
    text = to_jsonl(generate(COCO, seed=43, draws=100))
    assert text == (shared / "data" / "geneval" / "evaluation_metadata.jsonl").read_text()


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from([COCO, TABLETOP]))
def test_any_seed_gives_a_well_formed_set(seed: int, vocabulary: object) -> None:
    assert vocabulary in (COCO, TABLETOP)
    records = generate(vocabulary, seed=seed, draws=20)  # type: ignore[arg-type]
    assert len({record["prompt"] for record in records}) == len(records)
    assert list(dict.fromkeys(record["tag"] for record in records)) == list(TASKS)
    for record in records:
        names = [clause["class"] for clause in record["include"]]
        colors = [clause["color"] for clause in record["include"] if "color" in clause]
        assert len(set(names)) == len(names)
        assert len(set(colors)) == len(colors)
        assert "person" not in names or not colors
        assert all(name in record["prompt"] for name in [*names, *colors])
        for clause in record.get("exclude", []):
            assert clause["count"] == record["include"][0]["count"] + 1


def test_what_can_be_asked_on_the_table_is_exhausted(protocol: Make) -> None:
    """All pairs, counts, colours and positions of 8 shapes and 10 colours are drawn before any division."""
    draws = protocol("tabletop").value("prompts.draws")
    counts = Counter(record["tag"] for record in generate(TABLETOP, seed=43, draws=draws))
    assert counts.pop("color_attr") > 1000
    assert counts == {
        "single_object": 8,
        "two_object": 8 * 7,
        "counting": 8 * 3,
        "colors": 8 * 10,
        "position": 8 * 7 * 4,
    }


def test_tabletop_test_part_has_at_least_300_distinct_prompts(protocol: Make) -> None:
    items = GenEval().items(protocol("tabletop"))
    assert len({item.prompt for item in items}) == len(items) >= 300
    assert {item.task for item in items} == set(TASKS)
    assert {item.split for item in items} == {"seen", "unseen"}
    assert [item.id for item in items] == sorted({item.id for item in items})
    assert {c["count"] for i in items if i.task == "counting" for c in i.metadata["include"]} == {2, 3, 4}


def test_dev_and_test_share_only_the_tasks_too_small_to_divide(protocol: Make) -> None:
    parts = {
        part: GenEval().items(protocol("tabletop", [f"prompts.part={part}"]))
        for part in ("dev", "test", "all")
    }
    common = {item.prompt for item in parts["dev"]} & {item.prompt for item in parts["test"]}
    tasks = {item.task for item in parts["test"] if item.prompt in common}
    assert tasks == {"single_object", "counting"}
    # An id means the same prompt in every part.
    ids = {item.id: item.prompt for item in parts["all"]}
    for item in [*parts["dev"], *parts["test"]]:
        assert ids.get(item.id, item.prompt) == item.prompt


def test_the_table_has_the_official_colours() -> None:
    assert tuple(TABLE_COLORS) == COLORS


def test_words() -> None:
    assert [with_article("orange"), with_article("umbrella"), with_article("dog")] == [
        "an orange", "an umbrella", "a dog"
    ]  # fmt: skip
    assert [COCO.plural(name) for name in ("bus", "sheep", "dog")] == ["buses", "sheeps", "dogs"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("official", "prompts.part=dev", "only the tabletop prompts"),
        ("tabletop", "prompts.part=tets", "did you mean test"),
        ("tabletop", "prompts.vocabulary=tabeltop", "did you mean tabletop"),
        ("official", "prompts.seed=-1", "0 or more for prompts.seed, found -1"),
    ],
)
def test_a_wrong_prompt_table_says_what_is_wrong(
    protocol: Make, name: str, change: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        GenEval().items(protocol(name, [change]))
