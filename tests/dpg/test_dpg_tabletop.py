"""DPG-Bench in the embedded world: the truth fulfils all, a minimal edit all but what it touches."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from dpg_world import Cli
from PIL import Image
from tokenizers import Tokenizer

import lumina_model.embedded
from benchmarks.dpg.adapter import Dpg
from benchmarks.dpg.questions import questions_of
from benchmarks.geneval.drawing import KEPT, RIGHT, WRONG
from benchmarks.tabletop.sight.question_judge import QuestionJudge
from benchmarks.tabletop.trial.edits import edits_of
from benchmarks.tabletop.trial.models import open_scripted
from benchmarks.tabletop.trial.truth import read_prompt, scene_for
from benchmarks.tabletop.world.languages.en import noun
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene
from benchmarks.tabletop.world.splits import prompt_split
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import SIZES
from benchmarks.tabletop.world.wishes import read_wish
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.plan import select
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Verdict
from lumina_eval.testing import check_judge

Make = Callable[..., ResolvedProtocol]
#: ``max_text_tokens`` in the sampling of the embedded stages.
TOKENS = 32


@cache
def items(*changes: str) -> list[Item]:
    return Dpg().items(find_protocol(Dpg(), "tabletop", changes))


def some(each: int, seed: int = 5) -> list[Item]:
    """A few prompts of every kind of scene, others than the protocol's own."""
    return items(f"prompts.seed={seed}", f"prompts.per_task={each}", "prompts.part=all")


def scene_of(item: Item, seed: int) -> Scene:
    return scene_for(read_prompt(item.prompt), np.random.default_rng(seed))


def answers(scene: Scene, item: Item, size: int) -> dict[str, str]:
    found: dict[str, str] = QuestionJudge().judge([Image.fromarray(render(scene, size))], [item])[0][
        "answers"
    ]
    return found


def values(judged: Iterable[tuple[Item, dict[str, str]]]) -> dict[str, float]:
    """Metrics by name, from answers."""
    verdicts = [
        Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="x", output={"answers": given})
        for item, given in judged
    ]
    asked = [item for item, _ in judged]
    found = Dpg().aggregate(find_protocol(Dpg(), "tabletop"), asked, verdicts)
    return {one.name: one.value for one in found.metrics if one.value is not None}


def test_the_prompt_set() -> None:
    whole = items()
    assert len(whole) >= 120
    assert len({item.id for item in whole}) == len({item.prompt for item in whole}) == len(whole)
    assert {(item.task, item.split) for item in whole} == {
        (task, split) for task in ("one", "two", "three", "number") for split in ("seen", "unseen")
    }
    assert all(prompt_split(item.prompt) == "test" for item in whole)
    assert all((wish := read_wish(item.prompt)) and wish.told() == item.prompt for item in whole)
    quick = select(whole, find_protocol(Dpg(), "tabletop").suite("quick")).items
    assert {(item.task, item.split) for item in quick} == {(item.task, item.split) for item in whole}
    other = items("prompts.seed=48")
    assert {item.prompt for item in other} != {item.prompt for item in whole}


def test_no_caption_is_longer_than_the_embedded_model_reads() -> None:
    folder = Path(lumina_model.embedded.__file__).parent / "tokenizer"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert max(len(tokenizer.encode(item.prompt).ids) for item in items()) <= TOKENS


def test_questions_are_those_of_the_prompt_and_hang_on_their_entities() -> None:
    for item in items():
        questions = {question.id: question for question in questions_of(item)}
        wish = read_wish(item.prompt)
        assert wish is not None
        assert len({question.text for question in questions.values()}) == len(questions)
        assert [question.category for question in questions.values()].count("entity - whole") == len(
            wish.groups
        )
        told = sum(
            look is not None for group in wish.groups for look in (group.color, group.texture, group.size)
        )
        assert sum(question.category.startswith("attribute") for question in questions.values()) == told
        for question in questions.values():
            parents = [questions[parent] for parent in question.parents if parent]
            things = set(re.findall(r"\w+", question.tuple.partition("(")[2])) & {
                noun(group) for group in wish.groups
            }
            if question.category == "entity - whole":
                assert question.parents == (0,)
            else:
                assert {parent.category for parent in parents} == {"entity - whole"}
                assert {parent.tuple.partition("(")[2].rstrip(")") for parent in parents} == things


def test_a_scene_in_full() -> None:
    asked = [
        (question.id, question.parents, question.tuple, question.text)
        for item in some(40, 3)
        if item.prompt.startswith("The picture shows two ")
        for question in questions_of(item)
    ][:7]
    texts = [text for *_, text in asked]
    assert re.fullmatch(r"Are there \w+s\?", texts[0])
    assert re.fullmatch(r"Is there an? \w+\?", texts[1])
    assert re.fullmatch(r"Are the \w+s \w+\?", texts[2])
    assert re.fullmatch(r"Are there two \w+s\?", texts[6])
    assert [one[1] for one in asked] == [(0,), (0,), (1,), (1,), (2,), (2,), (1,)]
    assert re.fullmatch(r"other - count \(\w+s, ==2\)", asked[6][2])


@pytest.mark.parametrize("size", [64, 128])
def test_the_truth_is_answered_yes(size: int) -> None:
    judged = [(item, answers(scene_of(item, k), item, size)) for k, item in enumerate(some(10))]
    wrong = [given for _, given in judged if set(given.values()) != {"yes"}]
    assert len(wrong) <= 1, wrong
    assert values(judged)["overall"] >= 99


def concerned(kind: str, before: Scene, after: Scene) -> str:
    """A pattern for the tuples of which an edit changes the answer, read off the scene graphs alone."""
    if kind == "relation":
        return r"relation - spatial .*"
    if kind.startswith("count"):
        return r"other - count .*"
    lost = [thing for thing in before.things if thing not in after.things]
    (thing,) = lost
    number = sum(other.shape == thing.shape for other in before.things)
    name = noun(Group(thing.shape, number=number))
    if kind in ("missing", "shape"):
        return r"other - count .*" if number > 1 else rf".*\W{name}\W.*"
    return rf"attribute - {kind} \({name}, .*"


def edited(item: Item, seed: int) -> Iterator[tuple[str, Scene, Scene]]:
    rng = np.random.default_rng([7, seed])
    scene = scene_of(item, seed)
    for edit in edits_of(read_prompt(item.prompt), scene, rng):
        yield edit.kind, edit.original, edit.edited
    if item.task in ("one", "two"):
        first, *others = scene.things
        size = "small" if first.size == "large" else "large"
        grown = dataclasses.replace(first, size=size)
        fits = all(
            np.hypot(first.x - thing.x, first.y - thing.y) > (SIZES[size] + thing.diameter) / 2
            for thing in others
        )
        if fits and min(first.x, first.y, 1 - first.x, 1 - first.y) > SIZES[size] / 2:
            yield "size", scene, Scene((grown, *others), scene.background)


def test_a_minimal_edit_flips_its_own_questions_and_no_others() -> None:
    by_kind: dict[str, list[tuple[Item, dict[str, str]]]] = {}
    missed = total = 0
    for k, item in enumerate(some(5)):
        for n, (kind, before, after) in enumerate(edited(item, k)):
            given = answers(after, item, (64, 128)[(k + n) % 2])
            found = {question.tuple for question in questions_of(item) if given[question.text] == "no"}
            pattern = concerned(kind, before, after)
            wanted = {
                question.tuple for question in questions_of(item) if re.fullmatch(pattern, question.tuple)
            }
            assert wanted
            total += 1
            missed += found != wanted
            by_kind.setdefault(kind, []).append((item, given))
    assert set(by_kind) == {
        "color", "count less", "count more", "relation", "missing", "shape", "texture", "size",
    }  # fmt: skip
    assert total > 60
    assert missed <= 1
    for kind, category in [
        ("color", "attribute - color"), ("texture", "attribute - texture"), ("size", "attribute - size"),
        ("relation", "relation - spatial"), ("count less", "other - count"), ("count more", "other - count"),
    ]:  # fmt: skip
        found = values(by_kind[kind])
        low = {name for name, value in found.items() if name.startswith("l2/") and value < 95}
        assert low == {f"l2/{category}"}, kind
    assert values(by_kind["missing"])["l2/entity - whole"] < 75


def test_pictures_of_other_prompts_score_low() -> None:
    chosen = some(4)
    judged = [
        (item, answers(scene_of(other, k), item, 64))
        for k, (item, other) in enumerate(zip(chosen, chosen[5:] + chosen[:5], strict=True))
    ]
    assert values(judged)["overall"] < 30


def test_a_scripted_model_that_always_errs_never_fulfils_all() -> None:
    (model,) = open_scripted("0@64", {})
    chosen = some(2)
    pictures = model.generate([item.prompt for item in chosen], range(len(chosen)))
    outputs = QuestionJudge().judge(pictures, chosen)
    assert all("no" in output["answers"].values() for output in outputs)


def test_the_drawing_says_how_many_questions_are_fulfilled() -> None:
    item, other = (next(item for item in items() if item.task == task) for task in ("two", "one"))
    for shown, frame in ((item, RIGHT), (other, WRONG)):
        picture = Image.fromarray(render(scene_of(shown, 1), 64))
        (output,) = QuestionJudge().judge([picture], [item])
        verdict = Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="x", output=output)
        drawn = Dpg().draw(picture, item, verdict, find_protocol(Dpg(), "tabletop"))
        assert drawn.size == (192, 192)
        assert drawn.getpixel((190, 190)) == frame
        assert KEPT in {color for _, color in drawn.getcolors(2**16) or []}


def test_the_judge_keeps_to_its_protocol_and_refuses_other_worlds() -> None:
    chosen = some(2)[::2]
    pictures = [Image.fromarray(render(scene_of(item, k), 64)) for k, item in enumerate(chosen)]
    check_judge(QuestionJudge(), pictures, chosen)
    stranger = Item(id="1", prompt="a dog", task="dpg", metadata={"questions": []})
    with pytest.raises(UserError, match="knows the embedded world only"):
        QuestionJudge().judge(pictures[:1], [stranger])


def test_the_whole_chain(call: Cli, tmp_path: Path) -> None:
    done = call(
        "run", "dpg", "--protocol", "tabletop", "--limit", 2, "--images-per-prompt", 1, "--model",
        "tabletop-truth:@64", "--out", tmp_path, "--no-mlflow", "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.record["coverage"] == {
        "expected": 8, "generated": 8, "judged": 8, "failed": 0, "excluded": 0,
    }  # fmt: skip
    assert not done.record["warnings"]
    assert (done.values["overall"] or 0) >= 99
    assert {"l1/entity", "l2/relation - spatial", "seen/overall", "unseen/overall"} <= set(done.values)
    folder = Path(done.record["run_dir"])
    again = call(
        "judge", "dpg", "--protocol", "tabletop", "--verdicts", folder / "verdicts.jsonl", "--out", tmp_path,
        "--json",
    )  # fmt: skip
    assert again.values == done.values


def test_the_prompts_are_its_own(call: Cli, tmp_path: Path) -> None:
    done = call("prompts", "dpg", "--protocol", "tabletop")
    assert done.code == 0
    assert len(done.stdout.splitlines()) == len(items())
    refused = call("prompts", "dpg", "--protocol", "tabletop", "--questions", tmp_path / "any.csv")
    assert refused.code == 2
    assert "brings its own" in refused.stderr


@pytest.mark.parametrize(
    "change", ["prompts.per_task=0", "prompts.seed=-1", "prompts.part=tests", "prompts.vocabulary=coco"]
)
def test_a_mistaken_value_is_refused(protocol: Make, change: str) -> None:
    with pytest.raises(UserError, match=r"prompts\."):
        Dpg().items(protocol("tabletop", [change]))


def test_a_judge_that_answers_no_questions_is_refused() -> None:
    with pytest.raises(UserError, match=r"questions, found 'tabletop' of kind detect.*fix: --set"):
        Dpg().judge(find_protocol(Dpg(), "tabletop", ["judge.name=tabletop"]))
