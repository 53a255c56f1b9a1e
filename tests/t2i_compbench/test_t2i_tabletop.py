"""T2I-CompBench in the embedded world: the truth scores 1, a minimal edit only where it is not asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.geneval.drawing import RIGHT, WRONG
from benchmarks.t2i_compbench import tabletop
from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.objects import first_and_last
from benchmarks.t2i_compbench.position import LOCALITIES_2D, locality_in
from benchmarks.tabletop.sight.phrase_judge import PhraseJudge
from benchmarks.tabletop.trial.edits import Edit, edits_of
from benchmarks.tabletop.trial.truth import read_prompt, scene_for
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene, Thing
from benchmarks.tabletop.world.splits import prompt_split
from benchmarks.tabletop.world.vocabulary import SHAPES
from benchmarks.tabletop.world.wishes import read_wish
from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.plan import select
from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Verdict
from lumina_eval.testing import check_judge

Make = Callable[..., ResolvedProtocol]


@cache
def items(*changes: str) -> list[Item]:
    return T2ICompBench().items(find_protocol(T2ICompBench(), "tabletop", changes))


def some(each: int, seed: int = 5) -> list[Item]:
    """A few prompts of every category, others than the protocol's own."""
    return items(f"prompts.seed={seed}", f"prompts.per_task={each}", "prompts.part=all")


def scene_of(item: Item, seed: int) -> Scene:
    return scene_for(read_prompt(item.prompt), np.random.default_rng(seed))


def score(scene: Scene, item: Item, size: int) -> float:
    """The score of one picture under the protocol's rules."""
    (output,) = PhraseJudge().judge([Image.fromarray(render(scene, size))], [item])
    verdict = Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="x", output=output)
    found = T2ICompBench().aggregate(find_protocol(T2ICompBench(), "tabletop"), [item], [verdict])
    (metric,) = [one for one in found.metrics if one.name == item.task]
    assert metric.value is not None
    return metric.value


def test_the_prompt_set() -> None:
    whole = items()
    assert len({item.id for item in whole}) == len(whole) > 150
    assert {(item.task, item.split) for item in whole} == {
        (task, split) for task in tabletop.CATEGORIES for split in ("seen", "unseen")
    }
    assert all(prompt_split(item.prompt) == "test" for item in whole)
    assert all((wish := read_wish(item.prompt)) and wish.photo() == item.prompt for item in whole)
    quick = select(whole, find_protocol(T2ICompBench(), "tabletop").suite("quick")).items
    assert {(item.task, item.split) for item in quick} == {(item.task, item.split) for item in whole}
    assert {item.prompt for item in items("prompts.seed=54")} != {item.prompt for item in whole}


def test_what_the_rules_read_is_the_official_form_of_the_prompt() -> None:
    for item in items():
        wish = read_wish(item.prompt)
        assert wish is not None
        text = tabletop.rule_prompt(item)
        tokens = item.metadata["tokens"]
        assert " ".join(word for word, _ in tokens) == text
        nouns = [word for word, pos in tokens if pos == "NOUN" and word in (*SHAPES, *tabletop.NOUNS.plurals)]
        assert len(nouns) == len(wish.groups)
        if item.task == "spatial":
            assert first_and_last(tokens) == tuple(group.shape for group in wish.groups)
            side = {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}[
                wish.relation or ""
            ]
            assert locality_in(text, LOCALITIES_2D) == f"on the {side} of"
        elif item.task == "numeracy":
            assert sum(group.number for group in wish.groups) <= 4
        else:
            assert " and ".join(phrase["text"] for phrase in item.metadata["phrases"]) == text


@pytest.mark.parametrize("size", [64, 128])
def test_the_truth_scores_one(size: int) -> None:
    scores = [score(scene_of(item, k), item, size) for k, item in enumerate(some(8))]
    assert sum(value < 1 for value in scores) <= 1


#: What an edit leaves of a score of 1: the product of two answers, or what the rule for counts gives.
LEFT: dict[tuple[str, str], set[float]] = {
    ("color", "color"): {0},
    ("color", "missing"): {0},
    ("color", "shape"): {0},
    ("shape", "missing"): {0},
    ("shape", "shape"): {0},
    ("texture", "texture"): {0},
    ("texture", "missing"): {0},
    ("texture", "shape"): {0},
    ("spatial", "relation"): {0.5},  # both things are there
    ("spatial", "missing"): {0},  # a quarter is less than the least
    ("spatial", "shape"): {0},
    ("numeracy", "count less"): {0.5, 0.75},  # the kind is there, its number is wrong
    ("numeracy", "count more"): {0.5, 0.75},
    ("numeracy", "shape"): {0.5, 0.75},
}


def left(item: Item, edit: Edit) -> set[float]:
    """What an edit leaves: read off the scene graphs where the table does not say it alone."""
    if item.task == "numeracy" and edit.kind in ("count less", "shape"):
        lost = {thing.shape for thing in edit.original.things} - {thing.shape for thing in edit.edited.things}
        kinds = {thing.shape for thing in edit.original.things}
        return {1 - 1 / len(kinds)} if lost else {1 - 0.5 / len(kinds)}
    return LEFT.get((item.task, edit.kind), {1})


def edited(item: Item, seed: int) -> Iterator[Edit]:
    rng = np.random.default_rng([7, seed])
    yield from edits_of(read_prompt(item.prompt), scene_of(item, seed), rng)


def test_a_minimal_edit_costs_what_the_official_rule_takes_for_it() -> None:
    found: dict[tuple[str, str], list[bool]] = {}
    for k, item in enumerate(some(6)):
        for n, edit in enumerate(edited(item, k)):
            value = score(edit.edited, item, (64, 128)[(k + n) % 2])
            found.setdefault((item.task, edit.kind), []).append(value in left(item, edit))
    assert set(LEFT) <= set(found)
    missed = [name for name, marks in found.items() for good in marks if not good]
    assert len(missed) <= 1, missed
    assert len([name for name in found if name not in LEFT]) > 2, "edits that a category does not ask about"


def test_what_is_not_asked_for_may_be_anything() -> None:
    for item in some(2):
        scene = scene_of(item, 3)
        if item.task != "color":
            assert score(painted(scene, "color", ("green", "white", "brown", "pink")), item, 64) == 1
        if item.task != "texture":
            assert score(painted(scene, "texture", ("striped", "plain", "plain", "plain")), item, 64) == 1


def painted(scene: Scene, look: str, words: Iterable[str]) -> Scene:
    things = [
        Thing(**{**record, look: word})
        for record, word in zip(scene.to_json()["things"], words, strict=False)
    ]
    return Scene(tuple(things), scene.background)


def test_boxes_come_in_the_official_scale() -> None:
    (item,) = [item for item in items() if item.task == "spatial"][:1]
    thing = Thing("square", "red", "plain", "large", 0.5, 0.5)
    picture = Image.fromarray(render(Scene((thing,), (150, 150, 150)), 128))
    (output,) = PhraseJudge().judge([picture], [item])
    ((*box, certain, label),) = output["detections"]
    half = 480 * 0.42 * 0.41  # side of the picture, diameter of a large thing, half side of a square in it
    assert box == pytest.approx([240 - half, 240 - half, 240 + half, 240 + half], abs=480 / 128)
    assert (certain, label) == (1.0, "square")


def test_the_drawing_is_framed_by_the_score() -> None:
    item, other = items()[:2]
    for shown, frame in ((item, RIGHT), (other, WRONG)):
        picture = Image.fromarray(render(scene_of(shown, 1), 64))
        (output,) = PhraseJudge().judge([picture], [item])
        verdict = Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="x", output=output)
        drawn = T2ICompBench().draw(picture, item, verdict, find_protocol(T2ICompBench(), "tabletop"))
        assert drawn.size == (192, 192)
        assert drawn.getpixel((190, 190)) == frame


def test_the_judge_keeps_to_its_protocol_and_refuses_other_worlds() -> None:
    chosen = some(2)[::3]
    pictures = [Image.fromarray(render(scene_of(item, k), 64)) for k, item in enumerate(chosen)]
    check_judge(PhraseJudge(), pictures, chosen)
    with pytest.raises(UserError, match="knows the embedded world only"):
        PhraseJudge().judge(pictures[:1], [Item(id="1", prompt="a dog", task="color")])


def call(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words)])
    with injected("benchmarks", t2i_compbench=T2ICompBench), pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_the_whole_chain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("t2i_compbench", "--protocol", "tabletop", "--out", tmp_path, "--json")
    model = ("--no-mlflow", "--model", "tabletop-truth:@64", "--limit", 2, "--images-per-prompt", 1)
    assert call("run", *words, *model, monkeypatch=monkeypatch) == 0
    record = json.loads(capsys.readouterr().out)
    values = {one["name"]: one["value"] for one in record["metrics"]}
    assert {name: values[name] for name in tabletop.CATEGORIES} == dict.fromkeys(tabletop.CATEGORIES, 1.0)
    assert values["complex"] is None
    assert record["coverage"]["judged"] == 10
    assert any(name.startswith("unseen/") for name in values)
    saved = Path(record["run_dir"]) / "verdicts.jsonl"
    assert call("judge", *words, "--verdicts", saved, monkeypatch=monkeypatch) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"] == record["metrics"]


def test_verdicts_in_the_official_form_are_those_of_its_prompts(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    item = next(item for item in items() if item.task == "spatial")
    (output,) = PhraseJudge().judge([Image.fromarray(render(scene_of(item, 1), 64))], [item])
    line: dict[str, Any] = {"filename": f"{item.prompt}_000000.png", "category": "spatial", **output}
    words = ("judge", "t2i_compbench", "--protocol", "tabletop", "--out", tmp_path, "--json", "--verdicts")
    assert call(*words, write(line), monkeypatch=monkeypatch) == 0
    values = {one["name"]: one["value"] for one in json.loads(capsys.readouterr().out)["metrics"]}
    assert values["spatial"] == 1
    other = {**line, "filename": "a dog on the left of a cat_000000.png"}
    assert call(*words, write(other), monkeypatch=monkeypatch) == 2
    assert "expected prompts of protocol tabletop" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change", ["prompts.per_task=0", "prompts.part=tests", 'prompts.categories=["complex"]']
)
def test_a_mistaken_value_is_refused(protocol: Make, change: str) -> None:
    with pytest.raises(UserError, match=r"prompts\.|category"):
        T2ICompBench().items(protocol("tabletop", [change]))


@pytest.mark.parametrize("category", tabletop.CATEGORIES)
def test_what_another_benchmark_s_judge_says_is_refused(category: str) -> None:
    (item, *_) = [item for item in items() if item.task == category]
    output = {"detections": {"circle": [[0, 0, 9, 9, 1.0]]}, "colors": {}}
    verdict = Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="tabletop@x", output=output)
    with pytest.raises(UserError, match=r"expected a list at .*judged by tabletop@x; fix: "):
        T2ICompBench().aggregate(find_protocol(T2ICompBench(), "tabletop"), [item], [verdict])
